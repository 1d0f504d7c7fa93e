import type { TagRecord } from '../invalidation-view.ts'

/** Version of a tag that this process does not know: it must be read before it can be trusted. */
export const UNKNOWN = -1

export interface TagTableOptions {
  /** Version of a tag nobody has spoken of: {@link UNKNOWN} with Redis, 0 without. */
  readonly initialVersion: number
  /** Records kept at most before those that nothing refers to are dropped. */
  readonly maxRecords: number
  /** Records younger than this must stay: a load that began before may still name the tag. */
  readonly oldestLoadVersion: () => number
}

/** The tags that this process has met. */
export class TagTable {
  readonly #options: TagTableOptions
  readonly #records = new Map<string, TagRecord>()
  #sweepAt: number

  constructor(options: TagTableOptions) {
    this.#options = options
    this.#sweepAt = options.maxRecords
  }

  get size(): number {
    return this.#records.size
  }

  /** The record of a tag, made where there is none. Ask for it before reading the tag's version. */
  record(name: string): TagRecord {
    const known = this.#records.get(name)
    if (known !== undefined) return known
    if (this.#records.size >= this.#sweepAt) this.#sweep()
    const record = { name, version: this.#options.initialVersion, epoch: 0, references: 0 }
    this.#records.set(name, record)
    return record
  }

  /** The records of tags, which stay until {@link release}: what is under way depends on them. */
  hold(names: readonly string[]): readonly TagRecord[] {
    return names.map((name) => {
      const record = this.record(name)
      record.references++
      return record
    })
  }

  release(records: readonly TagRecord[]): void {
    for (const record of records) record.references--
  }

  peek(name: string): TagRecord | undefined {
    return this.#records.get(name)
  }

  /** Makes every version unknown, as of `epoch`. */
  forgetAll(epoch: number): void {
    for (const record of this.#records.values()) {
      record.version = this.#options.initialVersion
      record.epoch = epoch
    }
  }

  #sweep(): void {
    const oldest = this.#options.oldestLoadVersion()
    for (const [name, record] of this.#records) {
      if (record.references === 0 && record.version <= oldest) this.#records.delete(name)
    }
    this.#sweepAt = Math.max(this.#options.maxRecords, this.#records.size * 2)
  }
}
