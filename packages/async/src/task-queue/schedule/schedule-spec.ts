import type { JobPriority } from '../queue-engine.ts'
import { CronPattern } from './cron-pattern.ts'

export interface ScheduleOptions {
  /**
   * Five fields (minute, hour, day, month, weekday), or six with seconds before them; instead of
   * `everyMs`. When clocks go forward, a fixed time that the day does not have comes right after the
   * gap; when they go back, one that it has twice comes once, the first time. Patterns with `*` or
   * steps in minute or hour run through what the day has, as in Vixie's cron.
   */
  readonly cron?: string
  /** IANA name; for `cron`. @default 'UTC' */
  readonly timeZone?: string
  /** Time from one job to the next, whatever the clocks on the wall do. At least 1000. */
  readonly everyMs?: number
  /** None before; intervals are counted from it. @default now */
  readonly startAt?: Date
  /** None after. @default never */
  readonly endAt?: Date
  /**
   * What becomes of times that passed while no scheduler ran: `one` makes one job, for the last of
   * them, `skip` none. @default 'one'
   */
  readonly missed?: 'one' | 'skip'
  /** Whether a job is made while the one before it is unfinished. @default 'allow' */
  readonly overlap?: 'allow' | 'skip'
  /** @default 'normal' */
  readonly priority?: JobPriority
  /** @default the task's, after routing */
  readonly queue?: string
}

/** When the jobs of a schedule are due; plain JSON. */
export interface Timing {
  readonly cron?: string
  readonly timeZone?: string
  readonly everyMs?: number
  readonly startMs: number
  readonly endMs?: number
}

/** @throws RangeError naming option, limit and value */
export function timingOf(options: ScheduleOptions, nowMs: number): Timing {
  const { cron, timeZone = 'UTC', everyMs, startAt, endAt } = options
  if ((cron === undefined) === (everyMs === undefined)) {
    throw new RangeError('a schedule needs either cron or everyMs')
  }
  if (everyMs !== undefined && !(Number.isSafeInteger(everyMs) && everyMs >= 1_000)) {
    throw new RangeError(`everyMs must be a whole number of at least 1000, got ${everyMs}`)
  }
  if (cron !== undefined) new CronPattern(cron, timeZone).next(nowMs)
  return {
    ...(cron === undefined ? { everyMs: everyMs as number } : { cron, timeZone }),
    startMs: startAt?.getTime() ?? nowMs,
    ...(endAt === undefined ? {} : { endMs: endAt.getTime() }),
  }
}

/** The first due time after `afterMs`; `undefined` when there is none. */
export function nextDue(timing: Timing, afterMs: number): number | undefined {
  const { cron, timeZone = 'UTC', everyMs, startMs, endMs = Infinity } = timing
  let nextMs: number | undefined
  if (everyMs !== undefined) {
    const passed = Math.max(0, Math.floor((afterMs - startMs) / everyMs) + 1)
    nextMs = startMs + passed * everyMs
  } else if (cron !== undefined) {
    nextMs = new CronPattern(cron, timeZone).next(Math.max(afterMs, startMs - 1))
  }
  return nextMs === undefined || nextMs > endMs ? undefined : nextMs
}

/** The last due time up to `untilMs`, `dueMs` being one of them. */
export function lastDue(timing: Timing, dueMs: number, untilMs: number): number {
  let lastMs = dueMs
  if (timing.everyMs !== undefined) {
    const endMs = Math.min(untilMs, timing.endMs ?? Infinity)
    return dueMs + Math.floor((endMs - dueMs) / timing.everyMs) * timing.everyMs
  }
  // Halving the time that is left finds the last one in few steps, however long nobody looked.
  for (let stepMs = untilMs - dueMs; stepMs >= 1_000;) {
    const nextMs = nextDue(timing, Math.max(lastMs, untilMs - stepMs))
    if (nextMs !== undefined && nextMs <= untilMs) lastMs = nextMs
    stepMs = Math.floor(stepMs / 2)
  }
  for (;;) {
    const nextMs = nextDue(timing, lastMs)
    if (nextMs === undefined || nextMs > untilMs) return lastMs
    lastMs = nextMs
  }
}
