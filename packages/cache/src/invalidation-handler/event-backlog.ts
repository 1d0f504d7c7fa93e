import { EventBacklogFullError } from './errors.ts'
import type { StreamRecord } from './event-stream.ts'

type NewRecord = Pick<StreamRecord, 'event' | 'payload' | 'appliedBy'>
type Append = (record: NewRecord, id: string | undefined) => Promise<void>

/** Events that Redis has not acknowledged, in their order. */
export class EventBacklog {
  readonly #maxSize: number
  #waiting: { readonly record: NewRecord; readonly id: string | undefined }[] = []
  #draining: Promise<void> | undefined

  constructor(maxSize: number) {
    this.#maxSize = maxSize
  }

  get size(): number {
    return this.#waiting.length
  }

  /** @throws EventBacklogFullError, with the reason why the event must wait as its cause */
  add(record: NewRecord, id: string | undefined, cause: unknown): void {
    if (this.#waiting.length >= this.#maxSize) {
      throw new EventBacklogFullError(this.#maxSize, { cause })
    }
    this.#waiting.push({ record, id })
  }

  /** Appends all that wait. What fails waits on. @throws what `append` throws */
  drain(append: Append): Promise<void> {
    this.#draining ??= this.#drain(append).finally(() => {
      this.#draining = undefined
    })
    return this.#draining
  }

  async #drain(append: Append): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      await append(next.record, next.id)
      this.#waiting.shift()
    }
  }
}
