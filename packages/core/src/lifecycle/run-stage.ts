import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { reasonOf } from '../health/reason.ts'
import type { HookReport, StageReport } from './shutdown-report.ts'
import type { HookStage } from './stages.ts'

/** What runs in a stage. The signal aborts when the stage's limit is reached. */
export interface StageHook {
  readonly name: string
  readonly run: (signal: AbortSignal) => unknown
}

/**
 * Runs the hooks of one stage and never rejects. Hooks of `close` run one after another, the last
 * registered first; one that takes more than its share of the limit goes on beside the next, so
 * that a single slow client does not keep the others from closing. Other stages run together.
 */
export async function runStage(
  stage: HookStage,
  hooks: readonly StageHook[],
  limitMs: number,
  clock: Clock,
): Promise<StageReport> {
  const startedMs = clock.monotonicMs()
  if (hooks.length === 0) return { stage, limitMs, durationMs: 0, hooks: [] }
  const controller = new AbortController()
  const limit = after(clock, limitMs)
  const runs: HookRun[] = []
  for (const hook of stage === 'close' ? hooks.toReversed() : hooks) {
    const run = new HookRun(hook, controller.signal, clock)
    runs.push(run)
    const left = hooks.length - runs.length
    if (stage !== 'close' || left === 0) continue
    const remainingMs = Math.max(0, startedMs + limitMs - clock.monotonicMs())
    const share = after(clock, remainingMs / (left + 1))
    await Promise.race([run.settled, share.reached])
    share.cancel()
    if (!run.isSettled) run.isSlow = true
  }
  await Promise.race([Promise.all(runs.map((run) => run.settled)), limit.reached])
  limit.cancel()
  const reports = runs.map((run) => run.report(limitMs))
  controller.abort(new TimeoutError(`stage ${stage}`, limitMs))
  return { stage, limitMs, durationMs: clock.monotonicMs() - startedMs, hooks: reports }
}

class HookRun {
  isSlow = false
  readonly settled: Promise<void>
  readonly #name: string
  readonly #clock: Clock
  readonly #startedMs: number
  #end: { readonly durationMs: number; readonly reason?: string } | undefined

  constructor({ name, run }: StageHook, signal: AbortSignal, clock: Clock) {
    this.#name = name
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
    this.settled = Promise.try(run, signal).then(
      () => void (this.#end = { durationMs: this.#elapsedMs() }),
      (error: unknown) =>
        void (this.#end = { durationMs: this.#elapsedMs(), reason: reasonOf(error) }),
    )
  }

  get isSettled(): boolean {
    return this.#end !== undefined
  }

  report(limitMs: number): HookReport {
    const name = this.#name
    if (this.#end === undefined) {
      return { name, outcome: 'abandoned', durationMs: this.#elapsedMs(), isSlow: true }
    }
    const { durationMs, reason } = this.#end
    const isSlow = this.isSlow || durationMs > limitMs / 2
    if (reason === undefined) return { name, outcome: 'done', durationMs, isSlow }
    return { name, outcome: 'failed', durationMs, isSlow, reason }
  }

  #elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs
  }
}

function after(clock: Clock, delayMs: number): { reached: Promise<void>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = clock.setTimeout(resolve, delayMs)
  return { reached: promise, cancel: () => timer.cancel() }
}
