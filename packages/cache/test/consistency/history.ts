import { machineMs } from './machine-time.ts'

/** One thing that happened to a key in one process. */
export interface HistoryEvent {
  readonly atMs: number
  readonly worker: number
  readonly what: string
}

const EVENTS_PER_KEY = 500

/** The last things that happened to each key in this process. */
export class History {
  readonly #worker: number
  readonly #byKey = new Map<string, HistoryEvent[]>()

  constructor(worker: number) {
    this.#worker = worker
  }

  note(key: string, what: string): void {
    const events = this.#byKey.get(key) ?? []
    events.push({ atMs: machineMs(), worker: this.#worker, what })
    if (events.length > 2 * EVENTS_PER_KEY) events.splice(0, EVENTS_PER_KEY)
    this.#byKey.set(key, events)
  }

  of(key: string): readonly HistoryEvent[] {
    return (this.#byKey.get(key) ?? []).slice(-EVENTS_PER_KEY)
  }
}
