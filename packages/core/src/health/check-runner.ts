import type { Clock, Timer } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import {
  CheckVerdict,
  type CheckOptions,
  type CheckResult,
  type HealthKind,
  type HealthStatus,
} from './check.ts'
import { reasonOf, redact } from './reason.ts'
import { requireRange, requireWhole } from '../range.ts'

type Outcome =
  | { readonly status: 'up' }
  | { readonly status: 'degraded' | 'down'; readonly reason: string }

interface Run {
  readonly controller: AbortController
  readonly result: Promise<CheckResult>
}

/** What {@link CheckRunner} tells about the end of a run. */
export interface RunEnd {
  readonly before: HealthStatus
  readonly isFailure: boolean
  readonly durationMs: number
}

/** Runs one check again and again: one run at a time, none beyond its timeout. */
export class CheckRunner {
  readonly name: string
  readonly kind: HealthKind
  readonly #check: CheckOptions['check']
  readonly #timeoutMs: number
  readonly #failAfter: number
  readonly #maxPending: number
  readonly #clock: Clock
  readonly #onEnd: (runner: CheckRunner, end: RunEnd) => void
  readonly #interval: Timer
  #result: CheckResult
  #run: Run | undefined
  /** Runs that timed out and have not settled since. */
  #hung = 0
  #isStopped = false

  constructor(
    options: CheckOptions,
    clock: Clock,
    onEnd: (runner: CheckRunner, end: RunEnd) => void,
  ) {
    const {
      name,
      kind,
      timeoutMs = 2_000,
      everyMs = 5_000,
      failAfter = 1,
      maxPending = 1,
    } = options
    if (name === '') throw new TypeError('name of a check must not be empty')
    requireRange('timeoutMs', timeoutMs, 1)
    requireRange('everyMs', everyMs, 1)
    requireWhole('failAfter', failAfter)
    requireWhole('maxPending', maxPending)
    this.name = name
    this.kind = kind
    this.#check = options.check
    this.#timeoutMs = timeoutMs
    this.#failAfter = failAfter
    this.#maxPending = maxPending
    this.#clock = clock
    this.#onEnd = onEnd
    this.#result = {
      name,
      kind,
      status: 'pending',
      isCritical: options.isCritical ?? true,
      sinceMs: clock.now(),
      consecutiveFailures: 0,
    }
    this.#interval = clock.setInterval(() => this.#tick(), everyMs, { keepsAlive: false })
  }

  get result(): CheckResult {
    return this.#result
  }

  /** Starts a run or joins the one under way; where nothing may run, the result is the last one. */
  refresh(): Promise<CheckResult> {
    if (this.#run !== undefined) return this.#run.result
    if (this.#isStopped || this.#hung >= this.#maxPending) return Promise.resolve(this.#result)
    return this.#start()
  }

  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#interval.cancel()
    this.#run?.controller.abort(new Error(`check ${this.name} was unregistered`))
  }

  #tick(): void {
    if (this.#run !== undefined) return
    if (this.#hung >= this.#maxPending) this.#record(this.#timedOut(), this.#timeoutMs)
    else void this.#start()
  }

  #start(): Promise<CheckResult> {
    const controller = new AbortController()
    const startedMs = this.#clock.monotonicMs()
    const { promise, resolve } = Promise.withResolvers<CheckResult>()
    let phase: 'running' | 'ended' | 'hung' = 'running'

    const end = (outcome: Outcome | undefined): void => {
      timer.cancel()
      this.#run = undefined
      if (outcome !== undefined) this.#record(outcome, this.#clock.monotonicMs() - startedMs)
      resolve(this.#result)
    }
    const onSettled = (outcome: () => Outcome): void => {
      if (phase === 'hung') this.#hung--
      if (phase !== 'running') return
      phase = 'ended'
      end(outcome())
    }
    // After a blocked loop this timer fires before the answer that already lies in the socket is
    // read, so it lets one turn of the loop pass before it judges.
    const onTimeout = (): void =>
      void setImmediate(() => {
        if (phase !== 'running') return
        phase = 'hung'
        this.#hung++
        end(this.#timedOut())
        controller.abort(new TimeoutError(`check ${this.name}`, this.#timeoutMs))
      })
    const timer = this.#clock.setTimeout(onTimeout, this.#timeoutMs, { keepsAlive: false })
    controller.signal.addEventListener('abort', () => {
      if (phase !== 'running') return
      phase = 'ended'
      end(undefined)
    })

    this.#run = { controller, result: promise }
    Promise.try(this.#check, controller.signal).then(
      (returned) => onSettled(() => outcomeOf(returned)),
      (error: unknown) => onSettled(() => ({ status: 'down', reason: reasonOf(error) })),
    )
    return promise
  }

  #timedOut(): Outcome {
    return {
      status: 'down',
      reason: new TimeoutError(`check ${this.name}`, this.#timeoutMs).message,
    }
  }

  #record(outcome: Outcome, durationMs: number): void {
    const { name, kind, isCritical, status: before, ...last } = this.#result
    const isFailure = outcome.status === 'down'
    const consecutiveFailures = isFailure ? last.consecutiveFailures + 1 : 0
    const isForgiven = isFailure && consecutiveFailures < this.#failAfter
    const status = isForgiven ? before : outcome.status
    const nowMs = this.#clock.now()
    this.#result = {
      name,
      kind,
      status,
      isCritical,
      ...('reason' in outcome && { reason: outcome.reason }),
      sinceMs: status === before ? last.sinceMs : nowMs,
      checkedAtMs: nowMs,
      durationMs,
      consecutiveFailures,
    }
    if (kind === 'startup' && !isFailure) this.stop()
    this.#onEnd(this, { before, isFailure, durationMs })
  }
}

function outcomeOf(returned: unknown): Outcome {
  if (returned instanceof CheckVerdict) {
    return { status: returned.status, reason: redact(returned.reason) }
  }
  return returned === false ? { status: 'down', reason: 'the check returned false' } : UP
}

const UP: Outcome = { status: 'up' }
