import { DharmaError, TimeoutError, type Clock, type Timer } from '@dharma/core'
import { CrashGuard } from './crash-guard.ts'
import { Deadlines } from './deadlines.ts'
import { ErrorDecoder } from './error-decoder.ts'
import * as errors from './errors.ts'
import { openChannel } from './open-channel.ts'
import type { PoolCounters } from './pool-counters.ts'
import type { PoolTask } from './pool-task.ts'
import { PoolWorker } from './pool-worker.ts'
import type { CheckedPoolOptions, WorkerPoolEvent } from './worker-pool-options.ts'
import type { WorkerEnd, WorkerOwner } from './worker-owner.ts'

/** What a fleet asks of and tells its pool. */
export interface FleetHooks {
  readonly onDue: (task: PoolTask) => void
  /** A worker has room. */
  readonly onRoom: (worker: PoolWorker) => void
  readonly onReturned: (tasks: readonly PoolTask[]) => void
  /** No worker will start for a while: nothing may wait for one. */
  readonly onCrashLoop: (error: errors.CrashLoopError) => void
}

/** Pauses after crash loops grow to this many times the first. */
const MAX_PAUSE_FACTOR = 30

const OWN_ERRORS = [DharmaError, ...Object.values(errors)]

/** The workers of a pool: as many as are wanted, each replaced when it goes. */
export class Fleet implements WorkerOwner {
  readonly pool: string
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly decoder: ErrorDecoder
  readonly counters: PoolCounters
  readonly concurrency: number
  readonly recycleTasks: number
  readonly heapLimitMb: number | undefined
  readonly abortGraceMs: number
  readonly unresponsiveMs: number
  readonly guard: CrashGuard
  readonly #options: CheckedPoolOptions
  readonly #hooks: FleetHooks
  readonly #leaving = new Set<PoolWorker>()
  readonly #startTimers = new Map<PoolWorker, Timer>()
  #live: PoolWorker[] = []
  #target: number
  #lastId = 0
  #isClosed = false
  #onEmpty: (() => void) | undefined

  constructor(options: CheckedPoolOptions, counters: PoolCounters, hooks: FleetHooks) {
    const { name, clock, crashPauseMs } = options
    this.#options = options
    this.#hooks = hooks
    this.#target = options.min
    this.pool = name
    this.clock = clock
    this.counters = counters
    this.deadlines = new Deadlines(clock, hooks.onDue)
    this.decoder = new ErrorDecoder([...OWN_ERRORS, ...options.errorClasses])
    this.concurrency = options.concurrencyPerWorker
    this.recycleTasks = options.recycle.tasks ?? Number.POSITIVE_INFINITY
    this.heapLimitMb = options.resourceLimits.maxHeapMb
    this.abortGraceMs = options.abortGraceMs
    this.unresponsiveMs = options.unresponsiveMs
    this.guard = new CrashGuard({
      clock,
      pool: name,
      maxCrashes: options.maxCrashes,
      pauseMs: crashPauseMs,
      maxPauseMs: crashPauseMs * MAX_PAUSE_FACTOR,
    })
  }

  /** Workers that take tasks or will when they are ready. */
  get live(): readonly PoolWorker[] {
    return this.#live
  }

  get target(): number {
    return this.#target
  }

  /** Starts what is missing, unless workers crash in a loop. */
  ensure(): void {
    while (!this.#isClosed && this.#live.length < this.#target && this.guard.error === undefined) {
      this.#start()
    }
  }

  /** Sets how many workers are wanted; those too many finish what they have begun, idle ones first. */
  resize(target: number): void {
    this.#target = target
    const surplus = this.#live
      .toSorted((a, b) => a.held.size - b.held.size)
      .slice(0, Math.max(0, this.#live.length - target))
    for (const worker of surplus) worker.leave()
    this.ensure()
  }

  /** Lets go of workers above `least` that have been idle for long. */
  shrink(least: number, idleMs: number): void {
    const sinceMs = this.clock.monotonicMs() - idleMs
    for (const worker of this.#live.filter((one) => one.phase === 'ready')) {
      if (this.#target <= least) return
      if (worker.held.size > 0 || worker.idleSinceMs > sinceMs) continue
      this.#target -= 1
      worker.leave()
    }
  }

  /** Ends every worker at once, or lets those go by themselves that have nothing to do. */
  async close(error: unknown): Promise<void> {
    this.#isClosed = true
    this.deadlines.close()
    for (const worker of [...this.#live, ...this.#leaving]) {
      if (worker.held.size === 0) worker.leave()
      else worker.condemn('ended', error)
    }
    if (this.#live.length + this.#leaving.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
  }

  onReady(worker: PoolWorker): void {
    this.#startTimers.get(worker)?.cancel()
    this.#startTimers.delete(worker)
    const startMs = this.clock.monotonicMs() - worker.startedMs
    this.report({ type: 'worker-ready', workerId: worker.id, startMs })
    this.#hooks.onRoom(worker)
  }

  onRoom(worker: PoolWorker): void {
    if (worker.answered > 0) this.guard.worked()
    if (this.#isWorn(worker)) worker.leave()
    this.#hooks.onRoom(worker)
  }

  onReturned(tasks: readonly PoolTask[]): void {
    this.counters.countMoved(tasks.length)
    this.#hooks.onReturned(tasks)
  }

  onLeaving(worker: PoolWorker): void {
    this.#live = this.#live.filter((one) => one !== worker)
    this.#leaving.add(worker)
    this.#startTimers.get(worker)?.cancel()
    this.#startTimers.delete(worker)
    // Not before it is known whether a crash is part of a loop.
    if (worker.phase === 'leaving') this.ensure()
  }

  onEnded(worker: PoolWorker, end: WorkerEnd): void {
    this.#leaving.delete(worker)
    this.counters.workerEnded(end.reason)
    const { reason, error } = end
    this.report({ type: 'worker-ended', workerId: worker.id, reason, error })
    if (this.#isClosed) {
      if (this.#live.length + this.#leaving.size === 0) this.#onEmpty?.()
      return
    }
    if (!end.isBlamed) this.#onCrash(error)
    this.ensure()
  }

  onLate(worker: PoolWorker, error: unknown): void {
    this.counters.countLateError()
    this.report({ type: 'late-error', workerId: worker.id, error })
  }

  report(event: WorkerPoolEvent): void {
    try {
      this.#options.onEvent?.(event)
    } catch {
      // Whoever only listens has no say in what the pool does.
    }
  }

  #onCrash(cause: unknown): void {
    const loop = this.guard.crashed(cause)
    if (loop === undefined) return
    this.report({
      type: 'crash-loop',
      crashes: loop.crashes,
      retryAfterMs: loop.retryAfterMs,
    })
    // What is left of it tries again when somebody asks for a task after the pause.
    this.#hooks.onCrashLoop(loop)
  }

  #start(): void {
    const { module, name, startTimeoutMs, execArgv, env, resourceLimits, kind } = this.#options
    const workerId = ++this.#lastId
    const channelOptions = {
      setup: { moduleUrl: module, concurrency: this.concurrency, workerId },
      name: `${name}-${workerId}`,
      resourceLimits,
      execArgv,
      env,
    }
    const worker = new PoolWorker(workerId, this, (events) =>
      openChannel(kind, channelOptions, events),
    )
    this.counters.workersStarted += 1
    this.#live.push(worker)
    const onTimer = (): void => {
      worker.condemn('start', new TimeoutError(`start of worker ${workerId}`, startTimeoutMs))
    }
    this.#startTimers.set(
      worker,
      this.clock.setTimeout(onTimer, startTimeoutMs, { keepsAlive: false }),
    )
  }

  #isWorn(worker: PoolWorker): boolean {
    const { heapBytes, ageMs } = this.#options.recycle
    if (worker.answered >= this.recycleTasks) return true
    if (heapBytes !== undefined && worker.heapBytes >= heapBytes) return true
    return ageMs !== undefined && this.clock.monotonicMs() - worker.startedMs >= ageMs
  }
}
