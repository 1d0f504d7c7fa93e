import { toError, type Clock, type Timer } from '@dharma/core'
import type { QueueEngine } from '../queue-engine.ts'
import { lastDue, nextDue } from './schedule-spec.ts'
import { times, type ScheduleStore, type StoredSchedule } from './schedule-store.ts'

/** Who listens to it hears that a schedule was changed. */
export const SCHEDULE_TOPIC = 'schedules'

/** Changes whose message was missed are found out by looking. */
const RELOAD_EVERY_MS = 5_000
/** A due time counts as missed when it lies further back: a scheduler that runs is never so late. */
const MISSED_AFTER_MS = 30_000
/** What was read longer ago may be out of date, as after the machine slept. */
const FRESH_MS = 1_000

/**
 * Makes the jobs of schedules when they are due. Any number of schedulers may run: the job of a due
 * time has an id made of schedule and time, and only one moves the schedule on. The job is stored
 * first, so a crash between the two makes it again under the same id, which stores nothing.
 */
export class Scheduler {
  readonly #engine: QueueEngine
  readonly #store: ScheduleStore
  readonly #clock: Clock
  readonly #onError: (error: Error) => void
  readonly #subscription: Promise<Disposable | undefined>
  #due: { readonly id: string; readonly nextMs: number }[] = []
  #loadedMs = -Infinity
  #timer: Timer | undefined
  #work: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(
    engine: QueueEngine,
    store: ScheduleStore,
    clock: Clock,
    onError: (error: Error) => void,
  ) {
    this.#engine = engine
    this.#store = store
    this.#clock = clock
    this.#onError = onError
    this.#subscription = this.#listen()
    this.#arm(0)
  }

  /** Looks at all schedules anew. */
  reload(): void {
    this.#loadedMs = -Infinity
    this.#arm(0)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#work
    this.#timer?.cancel()
    const subscription = await this.#subscription
    subscription?.[Symbol.dispose]()
  }

  async #listen(): Promise<Disposable | undefined> {
    try {
      return await this.#engine.signals.subscribe(SCHEDULE_TOPIC, () => this.reload())
    } catch (error) {
      this.#onError(toError(error))
      return undefined
    }
  }

  #arm(inMs: number): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimeout(
      () => {
        // One look after the other.
        this.#work = this.#work.then(() => this.#look())
      },
      inMs,
      { keepsAlive: false },
    )
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return
    try {
      if (this.#clock.monotonicMs() - this.#loadedMs >= RELOAD_EVERY_MS) await this.#load()
      const nowMs = this.#clock.now()
      for (const { id } of this.#due.filter(({ nextMs }) => nextMs <= nowMs)) await this.#fire(id)
    } catch (error) {
      this.#onError(toError(error))
    }
    const nextMs = Math.min(...this.#due.map((each) => each.nextMs))
    this.#arm(Math.max(1, Math.min(RELOAD_EVERY_MS, nextMs - this.#clock.now())))
  }

  async #load(): Promise<void> {
    const loadedMs = this.#clock.monotonicMs()
    const schedules = await this.#store.list()
    this.#loadedMs = loadedMs
    this.#due = schedules.flatMap(({ id, nextMs }) =>
      nextMs === undefined ? [] : [{ id, nextMs }],
    )
  }

  async #fire(id: string): Promise<void> {
    for (;;) {
      const readMs = this.#clock.monotonicMs()
      const found = await this.#store.get(id)
      const nowMs = this.#clock.now()
      const { nextMs } = found?.schedule ?? {}
      this.#due = this.#due.filter((each) => each.id !== id)
      if (found === undefined || nextMs === undefined) return
      if (nextMs > nowMs) {
        this.#due.push({ id, nextMs })
        return
      }
      const { timing, missed, job } = found.schedule
      const dueMs = lastDue(timing, nextMs, nowMs)
      const isWanted = missed === 'one' || nowMs - dueMs < MISSED_AFTER_MS
      if (this.#clock.monotonicMs() - readMs > FRESH_MS) continue
      if (isWanted) {
        const meta = { ...job.meta, schedule: { id, dueMs } }
        await this.#engine.enqueue([{ ...job, id: `schedule-${id}-${dueMs}`, meta }])
      }
      const followingMs = nextDue(timing, Math.max(dueMs, nowMs))
      const moved: StoredSchedule = {
        ...withoutTimes(found.schedule),
        ...times(followingMs, dueMs),
      }
      // Another scheduler may have been faster: the next round reads what it left.
      await this.#store.replace(moved, found.version)
    }
  }
}

function withoutTimes({ id, timing, missed, job }: StoredSchedule): StoredSchedule {
  return { id, timing, missed, job }
}
