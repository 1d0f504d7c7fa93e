import { parseStatement } from '../sql/index.ts'
import { HeavyHitters, type HeavyHitter } from './heavy-hitters.ts'
import { mergeTallies, QueryTally } from './query-tally.ts'
import { sqlSkeleton } from './sql-skeleton.ts'

/** A fingerprint among those that are kept. */
export type TrackedItem = HeavyHitter<QueryTally>

const MAX_TEXTS = 4_000
const MAX_TEXT_LENGTH = 8_192
/** Texts that wait to be read by the parser, which takes about 1 ms for each. */
const MAX_UNREAD = 1_000

/**
 * The fingerprints of the greatest total time, found by the statement's text: by one lookup for a
 * text that is known. The parser reads new ones later, apart from what is being answered.
 */
export class TrackedStatements {
  readonly #queries: HeavyHitters<QueryTally>
  /** Fingerprints by skeleton, for what the parser has read; and skeletons that wait for it. */
  readonly #read = new Map<string, { readonly fingerprint: string; readonly statement: string }>()
  readonly #unread = new Map<string, string>()
  #items = new Map<string, TrackedItem>()
  #reading: Promise<void> | undefined

  constructor(maxQueries: number, random: () => number) {
    this.#queries = new HeavyHitters(
      maxQueries,
      (key) => new QueryTally(key, random),
      (tally) => {
        tally.isCurrent = false
      },
    )
  }

  /** Where a text is counted: under its fingerprint, or, until the parser has read it, its skeleton. */
  ofText(text: string): TrackedItem {
    const known = this.#items.get(text)
    return known !== undefined && known.value.isCurrent ? known : this.#find(text)
  }

  /** Where an operation of MongoDB is counted. */
  ofShape(shape: string): TrackedItem {
    const item = this.#queries.item(shape)
    item.value.database = 'mongodb'
    return item
  }

  get(fingerprint: string): QueryTally | undefined {
    return this.#queries.get(fingerprint)?.value
  }

  /** By total time, the greatest first. */
  top(): TrackedItem[] {
    return this.#queries.top()
  }

  /** Resolves when all texts seen by now have been read. */
  async settled(): Promise<void> {
    while (this.#reading !== undefined) await this.#reading
  }

  #find(text: string): TrackedItem {
    const isLong = text.length > MAX_TEXT_LENGTH
    const skeleton = sqlSkeleton(isLong ? text.slice(0, MAX_TEXT_LENGTH) : text)
    const read = this.#read.get(skeleton)
    const item = this.#queries.item(read?.fingerprint ?? skeleton)
    if (read !== undefined) {
      item.value.statement = read.statement
      if (!isLong) this.#remember(text, item)
    } else if (!isLong && this.#unread.size < MAX_UNREAD) {
      this.#unread.set(skeleton, text)
      this.#reading ??= this.#readLater()
    }
    return item
  }

  #remember(text: string, item: TrackedItem): void {
    if (this.#items.size >= MAX_TEXTS) this.#items = new Map()
    this.#items.set(text, item)
  }

  async #readLater(): Promise<void> {
    await new Promise(setImmediate)
    for (const [skeleton, text] of this.#unread) {
      this.#unread.delete(skeleton)
      // What PostgreSQL's parser does not understand keeps its skeleton for a name.
      const parsed = await parseStatement(text).catch(() => undefined)
      const { fingerprint = skeleton, normalized: statement = skeleton } = parsed ?? {}
      if (this.#read.size >= MAX_TEXTS) this.#read.clear()
      this.#read.set(skeleton, { fingerprint, statement })
      this.#queries.rename(skeleton, fingerprint, mergeTallies)
      const tally = this.get(fingerprint)
      if (tally !== undefined) Object.assign(tally, { statement, fingerprint })
      await new Promise(setImmediate)
    }
    this.#reading = undefined
  }
}
