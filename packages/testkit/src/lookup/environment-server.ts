import { FaultUnsupportedError } from '../errors.ts'
import type { Address, ServerKind, ServerState, TestServer } from '../test-server.ts'

const VARIABLES: Readonly<Record<ServerKind, string>> = {
  redis: 'DHARMA_TEST_REDIS_URL',
  postgres: 'DHARMA_TEST_POSTGRES_URL',
  mongo: 'DHARMA_TEST_MONGODB_URL',
}

/** The environment variable that may name a running server of this kind. */
export function environmentVariable(kind: ServerKind): string {
  return VARIABLES[kind]
}

/** The URL that the environment names for this kind, if any. */
export function environmentUrl(kind: ServerKind): string | undefined {
  const url = process.env[VARIABLES[kind]]
  return url === undefined || url === '' ? undefined : url
}

/** A server that somebody else runs: it can be used, but neither broken nor ended. */
export class EnvironmentServer implements TestServer {
  readonly kind: ServerKind
  readonly url: string
  readonly host: string
  readonly port: number
  readonly origin = 'environment'
  readonly pid: undefined
  readonly #urlAt: (address: Address) => string
  #state: ServerState = 'running'

  constructor(
    kind: ServerKind,
    url: string,
    defaultPort: number,
    urlAt: (address: Address) => string,
  ) {
    const { hostname, port } = new URL(url)
    this.kind = kind
    this.url = url
    this.host = hostname
    this.port = port === '' ? defaultPort : Number(port)
    this.#urlAt = urlAt
  }

  get state(): ServerState {
    return this.#state
  }

  kill(): Promise<void> {
    return this.#refuse('kill')
  }

  stop(): Promise<void> {
    return this.#refuse('stop')
  }

  cont(): Promise<void> {
    return this.#refuse('cont')
  }

  restart(): Promise<void> {
    return this.#refuse('restart')
  }

  urlThrough(address: Address): string {
    return this.#urlAt(address)
  }

  async close(): Promise<void> {
    this.#state = 'closed'
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #refuse(fault: string): Promise<never> {
    const reason = `${VARIABLES[this.kind]} names it, and others may use it; start one with { dedicated: true }`
    throw new FaultUnsupportedError(fault, this.origin, reason)
  }
}

/** `url` with another host and port. */
export function replaceAddress(url: string, { host, port }: Address): string {
  const replaced = new URL(url)
  replaced.hostname = host
  replaced.port = String(port)
  return replaced.href
}
