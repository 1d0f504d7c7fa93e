import { systemClock, type Clock } from '../clock.ts'
import { ClosedError } from '../errors.ts'
import { down, type CheckHandle } from '../health/check.ts'
import type { Health } from '../health/health.ts'
import { requireRange } from '../range.ts'
import type { Logger } from '../logger.ts'
import { runStage, type StageHook } from './run-stage.ts'
import { summarize, type ShutdownReport, type StageReport } from './shutdown-report.ts'
import { listenToHost, type InstallOptions } from './signals.ts'
import { HOOK_STAGES, resolveLimits, type HookStage, type LifecycleLimits } from './stages.ts'
import { StartError } from './start-error.ts'
import { runStartHook, type StartHook } from './start-hooks.ts'

export interface LifecycleOptions {
  /** @default systemClock */
  readonly clock?: Clock
  /** Told how starts and shutdowns go. @default none */
  readonly logger?: Logger
  /** Made unready first when the process goes down, and not started while start hooks run. @default none */
  readonly health?: Pick<Health, 'drain' | 'register'>
  readonly limits?: LifecycleLimits
}

export interface StartOptions {
  /** Undoes the start in the stage `close`, and when a later start hook fails. @default nothing to undo */
  readonly stop?: (signal: AbortSignal) => unknown
  /** Limit of this hook, in milliseconds. At least 0. @default `limits.startMs` */
  readonly timeoutMs?: number
}

/** What {@link Lifecycle.use} takes. The first two methods, where both exist, run in the stages of their names. */
export type Component = (AsyncDisposable | Disposable) & {
  readonly stopAccepting?: (signal: AbortSignal) => unknown
  readonly finish?: (signal: AbortSignal) => unknown
}

/** Brings a process up and takes it down. Components do not need it: each can be disposed by itself. */
export interface Lifecycle extends AsyncDisposable {
  readonly state: 'idle' | 'starting' | 'started' | 'stopping' | 'stopped'
  /** Has `component` disposed in the stage `close`, and returns it. @throws ClosedError once stopping */
  use<T extends Component>(component: T, options?: { readonly name?: string }): T
  /** Adds a hook to a stage; disposing takes it out again. @throws ClosedError once stopping */
  on(stage: HookStage, name: string, hook: (signal: AbortSignal) => unknown): Disposable
  /** Adds a hook that {@link start} runs, after those added before. @throws ClosedError once started */
  onStart(name: string, hook: (signal: AbortSignal) => unknown, options?: StartOptions): void
  /**
   * Runs the start hooks in order; a second call joins the first.
   * @throws StartError when one failed, after all was taken down again; ClosedError when stopped meanwhile.
   */
  start(): Promise<void>
  /** Goes down through all stages; a second call joins the first. Never rejects. */
  stop(reason?: string): Promise<ShutdownReport>
  /** Goes down on SIGTERM, SIGINT and uncaught errors, then exits; disposing takes the listeners off. */
  install(options?: InstallOptions): Disposable
}

/** A lifecycle, `idle`: nothing listens before {@link Lifecycle.install}. */
export function createLifecycle(options: LifecycleOptions = {}): Lifecycle {
  return new StagedLifecycle(options)
}

class StagedLifecycle implements Lifecycle {
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  readonly #health: LifecycleOptions['health']
  readonly #limits: Required<LifecycleLimits>
  readonly #hooks: Record<HookStage, Set<StageHook>> = {
    stopAccepting: new Set(),
    finish: new Set(),
    close: new Set(),
    flush: new Set(),
  }
  readonly #startHooks: StartHook[] = []
  readonly #stopping = new AbortController()
  #state: Lifecycle['state'] = 'idle'
  #startupCheck: CheckHandle | undefined
  #starting: Promise<void> | undefined
  #stopped: Promise<ShutdownReport> | undefined

  constructor({ clock = systemClock, logger, health, limits = {} }: LifecycleOptions) {
    this.#clock = clock
    this.#logger = logger
    this.#health = health
    this.#limits = resolveLimits(limits, health !== undefined)
  }

  get state(): Lifecycle['state'] {
    return this.#state
  }

  use<T extends Component>(component: T, { name }: { readonly name?: string } = {}): T {
    const known = name ?? component.constructor.name
    const { stopAccepting, finish } = component
    this.on('close', known, () => dispose(component))
    if (typeof stopAccepting === 'function' && typeof finish === 'function') {
      this.on('stopAccepting', known, (signal) => stopAccepting.call(component, signal))
      this.on('finish', known, (signal) => finish.call(component, signal))
    }
    return component
  }

  on(stage: HookStage, name: string, run: (signal: AbortSignal) => unknown): Disposable {
    if (this.#stopping.signal.aborted) throw new ClosedError('lifecycle')
    const hook: StageHook = { name, run }
    this.#hooks[stage].add(hook)
    return { [Symbol.dispose]: () => void this.#hooks[stage].delete(hook) }
  }

  onStart(name: string, run: (signal: AbortSignal) => unknown, options: StartOptions = {}): void {
    if (this.#state !== 'idle') throw new ClosedError('the list of start hooks')
    const { stop, timeoutMs = this.#limits.startMs } = options
    requireRange('timeoutMs', timeoutMs, 0)
    const hook: StartHook = { name, run, timeoutMs, state: 'waiting' }
    this.#startHooks.push(hook)
    if (stop !== undefined) {
      this.on('close', name, (signal) => (isToUndo(hook) ? stop(signal) : undefined))
    }
    this.#startupCheck ??= this.#health?.register({
      name: 'lifecycle',
      kind: 'startup',
      everyMs: 1_000,
      check: () => (this.#state === 'started' ? true : down(this.#startProgress())),
    })
  }

  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  stop(reason = 'stop was called'): Promise<ShutdownReport> {
    this.#stopped ??= this.#stop(reason, this.#limits.waitMs)
    return this.#stopped
  }

  install(options: InstallOptions = {}): Disposable {
    return listenToHost((reason) => this.stop(reason), this.#logger, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('disposed')
  }

  async #start(): Promise<void> {
    if (this.#stopping.signal.aborted) throw new ClosedError('lifecycle')
    this.#state = 'starting'
    for (const hook of this.#startHooks) {
      try {
        await runStartHook(hook, this.#stopping.signal, this.#clock)
      } catch (cause) {
        if (this.#stopping.signal.aborted) throw new ClosedError('lifecycle', { cause })
        this.#stopped ??= this.#stop(`start of ${hook.name} failed`, 0)
        throw new StartError(hook.name, await this.#stopped, { cause })
      }
    }
    if (this.#stopping.signal.aborted) throw new ClosedError('lifecycle')
    this.#state = 'started'
    await this.#startupCheck?.refresh()
  }

  async #stop(reason: string, waitMs: number): Promise<ShutdownReport> {
    const startedMs = this.#clock.monotonicMs()
    const elapsedMs = (): number => this.#clock.monotonicMs() - startedMs
    const allowed = (limitMs: number): number =>
      Math.max(0, Math.min(limitMs, this.#limits.totalMs - elapsedMs()))
    this.#state = 'stopping'
    this.#stopping.abort(new ClosedError('lifecycle'))
    this.#logger?.info({ reason }, 'shutting down')
    this.#health?.drain(`shutting down: ${reason}`)
    const stages: StageReport[] = [{ stage: 'unready', limitMs: 0, durationMs: 0, hooks: [] }]

    const waitingMs = allowed(waitMs)
    if (waitingMs > 0) await this.#clock.sleep(waitingMs)
    stages.push({ stage: 'wait', limitMs: waitingMs, durationMs: elapsedMs(), hooks: [] })

    for (const stage of HOOK_STAGES) {
      const limitMs = allowed(this.#limits[`${stage}Ms`])
      stages.push(await runStage(stage, [...this.#hooks[stage]], limitMs, this.#clock))
    }
    const report = summarize(reason, elapsedMs(), stages)
    this.#state = 'stopped'
    if (report.isClean) this.#logger?.info({ report }, 'shut down')
    else this.#logger?.warn({ report }, 'shut down, not cleanly')
    return report
  }

  #startProgress(): string {
    const current = this.#startHooks.find(({ state }) => state !== 'started')
    return current === undefined ? 'starting' : `starting: ${current.name} is ${current.state}`
  }
}

function isToUndo({ state }: StartHook): boolean {
  return state === 'started' || state === 'interrupted'
}

async function dispose(component: Component): Promise<void> {
  if (Symbol.asyncDispose in component) await component[Symbol.asyncDispose]()
  else component[Symbol.dispose]()
}
