import { kindOf, type StatementKind } from './statement-kind.ts'

/** Longest mean time, beyond the way to the server and back, of a statement that shares a connection. */
const FAST_MS = 2
/** Answers seen before a statement may share a connection. */
const FEW_ANSWERS = 3
const SMOOTHING = 0.2
/** One answer counts for no more than this, since a busy client adds delays of its own. */
const OUTLIER_MS = 3 * FAST_MS

/** The times of one statement text, and what it may be treated as. */
export class StatementRecord {
  readonly kind: StatementKind
  readonly #floor: LatencyFloor
  #answers = 0
  #meanMs = Infinity

  constructor(kind: StatementKind, floor: LatencyFloor) {
    this.kind = kind
    this.#floor = floor
  }

  /** Mean time, the latest answers weighing most; `Infinity` before the first. */
  get meanMs(): number {
    return this.#meanMs
  }

  /** Whether it may share a connection: known to be short, and a statement of its own. */
  get isFast(): boolean {
    return (
      this.kind !== 'session' &&
      this.#answers >= FEW_ANSWERS &&
      this.#meanMs <= this.#floor.ms + FAST_MS
    )
  }

  /** Notes how long an answer took. The quickest of the first few is where the mean begins. */
  observe(ms: number): void {
    this.#fold(Math.min(ms, this.#floor.ms + OUTLIER_MS))
  }

  /** Notes that it held up others for so long, which is no mistake of measuring. */
  overstayed(ms: number): void {
    this.#fold(Math.max(ms, this.#floor.ms + OUTLIER_MS))
    this.#meanMs = Math.max(this.#meanMs, this.#floor.ms + 2 * FAST_MS)
  }

  #fold(ms: number): void {
    this.#answers += 1
    this.#meanMs =
      this.#answers <= FEW_ANSWERS
        ? Math.min(this.#meanMs, ms)
        : this.#meanMs + SMOOTHING * (ms - this.#meanMs)
  }
}

/**
 * The shortest whole time of a statement lately, which is about the way to the server and back. It
 * rises by a thousandth of the distance with each slower answer, so that it follows a move.
 */
export class LatencyFloor {
  #ms = Infinity

  /** 0 until something was seen. */
  get ms(): number {
    return this.#ms === Infinity ? 0 : this.#ms
  }

  observe(ms: number): void {
    this.#ms = ms < this.#ms ? ms : this.#ms + (ms - this.#ms) / 1_000
  }
}

/**
 * The records of the statements used lately, by text. Bounded: two generations, of which the older
 * is dropped when the younger is full, so that what is in use stays and looking up costs one `get`.
 */
export class StatementBook {
  readonly floor: LatencyFloor = new LatencyFloor()
  readonly #generationSize: number
  #young = new Map<string, StatementRecord>()
  #old = new Map<string, StatementRecord>()

  /** @param max records kept at most; at least 2 */
  constructor(max: number) {
    this.#generationSize = Math.floor(max / 2)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  of(text: string): StatementRecord {
    const known = this.#young.get(text)
    if (known !== undefined) return known
    const record = this.#old.get(text) ?? new StatementRecord(kindOf(text), this.floor)
    this.#old.delete(text)
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, record)
    return record
  }
}
