import { FaultUnsupportedError, ServerStartError } from '../errors.ts'
import type {
  Address,
  Origin,
  RestartOptions,
  ServerKind,
  ServerState,
  TestServer,
} from '../test-server.ts'
import type { ServerRuntime } from './server-runtime.ts'
import { until } from './until.ts'

/** What {@link ManagedServer} is made of. */
export interface ManagedServerSpec {
  readonly kind: ServerKind
  readonly origin: Origin
  readonly host: string
  readonly port: number
  /** The server's URL at an address: its own, or a proxy's. */
  readonly urlAt: (address: Address) => string
  readonly runtime: ServerRuntime
  /** Brings a server that answers into service and says true; undefined or an error means "not yet". */
  readonly probe: () => Promise<true | undefined>
  readonly readyTimeoutMs: number
}

/** A server whose runtime is ours, so that every fault is possible. */
export class ManagedServer implements TestServer {
  readonly kind: ServerKind
  readonly origin: Origin
  readonly host: string
  readonly port: number
  readonly #spec: ManagedServerSpec
  #state: ServerState = 'killed'
  #closing: Promise<void> | undefined

  constructor(spec: ManagedServerSpec) {
    this.#spec = spec
    this.kind = spec.kind
    this.origin = spec.origin
    this.host = spec.host
    this.port = spec.port
  }

  get url(): string {
    return this.#spec.urlAt(this)
  }

  get pid(): number | undefined {
    return this.#spec.runtime.pid
  }

  get state(): ServerState {
    return this.#state
  }

  /** Launches and waits until the server answers. On failure everything is removed again. */
  async start(signal?: AbortSignal): Promise<this> {
    try {
      await this.#launch(signal)
      return this
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async kill(): Promise<void> {
    this.#require('kill', 'running', 'stopped')
    await this.#spec.runtime.kill()
    this.#state = 'killed'
  }

  async stop(): Promise<void> {
    this.#require('stop', 'running')
    await this.#spec.runtime.pause()
    this.#state = 'stopped'
  }

  async cont(): Promise<void> {
    this.#require('cont', 'stopped')
    await this.#spec.runtime.resume()
    await this.#ready()
    this.#state = 'running'
  }

  async restart({ keepData = true }: RestartOptions = {}): Promise<void> {
    this.#require('restart', 'running', 'stopped', 'killed')
    const { runtime } = this.#spec
    if (this.#state === 'stopped') await runtime.resume()
    await runtime.terminate()
    this.#state = 'killed'
    if (!keepData) await runtime.wipe()
    await this.#launch()
  }

  urlThrough(address: Address): string {
    return this.#spec.urlAt(address)
  }

  close(): Promise<void> {
    this.#state = 'closed'
    this.#closing ??= this.#spec.runtime.dispose()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #launch(signal?: AbortSignal): Promise<void> {
    await this.#spec.runtime.launch()
    await this.#ready(signal)
    this.#state = 'running'
  }

  async #ready(signal?: AbortSignal): Promise<void> {
    const { kind, port, probe, readyTimeoutMs, runtime } = this.#spec
    const outcome = await until<'ready' | 'ended'>(
      async () => {
        if (runtime.hasEnded) return 'ended'
        return (await probe()) === true ? 'ready' : undefined
      },
      { timeoutMs: readyTimeoutMs, signal },
    )
    if (outcome.met && outcome.value === 'ready') return
    const reason = outcome.met ? 'ended' : `did not answer within ${readyTimeoutMs} ms`
    const log = await runtime.readLog()
    throw new ServerStartError(`${kind} on port ${port}`, reason, log, {
      cause: outcome.met ? undefined : outcome.lastError,
    })
  }

  #require(fault: string, ...allowed: readonly ServerState[]): void {
    if (allowed.includes(this.#state)) return
    throw new FaultUnsupportedError(fault, this.origin, `it is ${this.#state}`)
  }
}
