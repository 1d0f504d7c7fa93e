import type { NewJob } from '../queue-engine.ts'
import type { StateStore } from '../state-store.ts'
import { nextDue, type Timing } from './schedule-spec.ts'

/** A schedule as it is stored. */
export interface StoredSchedule {
  readonly id: string
  readonly timing: Timing
  readonly missed: 'one' | 'skip'
  readonly job: NewJob
  /** Next due time; `undefined` after the last. */
  readonly nextMs?: number
  readonly lastMs?: number
}

const INDEX = 'schedules'
const keyOf = (id: string): string => `schedule:${id}`

/** Schedules in an engine's state, each replaced only over the version that was read. */
export class ScheduleStore {
  readonly #state: StateStore

  constructor(state: StateStore) {
    this.#state = state
  }

  /** Stores a schedule. One that is the same but for its start keeps its next due time, so restarts change nothing. */
  async set(schedule: Omit<StoredSchedule, 'nextMs' | 'lastMs'>, nowMs: number): Promise<void> {
    for (;;) {
      const found = await this.get(schedule.id)
      const kept = found?.schedule
      if (kept !== undefined && sameTiming(kept.timing, schedule.timing)) {
        const { timing, nextMs, lastMs } = kept
        const changed = { ...schedule, timing, ...times(nextMs, lastMs) }
        if (await this.replace(changed, found?.version ?? 0)) break
      } else {
        const nextMs = nextDue(schedule.timing, Math.max(nowMs, schedule.timing.startMs - 1))
        const changed = { ...schedule, ...times(nextMs, kept?.lastMs) }
        if (await this.replace(changed, found?.version ?? 0)) break
      }
    }
    await this.#state.record(INDEX, { [schedule.id]: '' })
  }

  async get(id: string): Promise<{ schedule: StoredSchedule; version: number } | undefined> {
    const entry = await this.#state.get(keyOf(id))
    return entry && { schedule: JSON.parse(entry.value) as StoredSchedule, version: entry.version }
  }

  /** `false` if another was faster. */
  replace(schedule: StoredSchedule, version: number): Promise<boolean> {
    return this.#state.put(keyOf(schedule.id), JSON.stringify(schedule), { ifVersion: version })
  }

  /** `false` if there is none. */
  async remove(id: string): Promise<boolean> {
    const found = await this.#state.get(keyOf(id))
    await this.#state.forget(INDEX, id)
    await this.#state.remove(keyOf(id))
    return found !== undefined
  }

  async list(): Promise<StoredSchedule[]> {
    const ids = Object.keys(await this.#state.fields(INDEX)).toSorted()
    const found = await Promise.all(ids.map((id) => this.get(id)))
    return found.flatMap((each) => (each === undefined ? [] : [each.schedule]))
  }
}

/** Fields for what is known. */
export function times(
  nextMs: number | undefined,
  lastMs: number | undefined,
): Pick<StoredSchedule, 'nextMs' | 'lastMs'> {
  return {
    ...(nextMs === undefined ? {} : { nextMs }),
    ...(lastMs === undefined ? {} : { lastMs }),
  }
}

function sameTiming(a: Timing, b: Timing): boolean {
  return (
    a.cron === b.cron && a.timeZone === b.timeZone && a.everyMs === b.everyMs && a.endMs === b.endMs
  )
}
