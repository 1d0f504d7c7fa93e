import { kindOf, type StatementKind } from './statement-kind.ts'

/** Longest time, beyond the way to the server and back, of a statement that shares a connection. */
const FAST_MS = 2
/** Answers on sessions of its own after which a statement is judged. */
const TRIAL_ANSWERS = 3
/** Each time a statement proves slow after all, its next trial is twice as long; up to 768 answers. */
const MAX_STRIKES = 8
/** Short answers in a row after which a strike is forgotten. */
const FORGET_AFTER = 256
const SMOOTHING = 0.2
/** One answer counts for no more than this, since a busy client adds delays of its own. */
const OUTLIER_MS = 3 * FAST_MS

/** The times of one statement text, and what it may be treated as. */
export class StatementRecord {
  readonly kind: StatementKind
  readonly #floor: LatencyFloor
  #meanMs = Infinity
  #trial = { answers: 0, bestMs: Infinity }
  #strikes = 0
  #goodAnswers = 0

  constructor(kind: StatementKind, floor: LatencyFloor) {
    this.kind = kind
    this.#floor = floor
  }

  /** Mean time of the server at it, the latest answers weighing most; `Infinity` before the first trial. */
  get meanMs(): number {
    return this.#meanMs
  }

  /** Whether it may share a connection: known to be short, and a statement of its own. */
  get isFast(): boolean {
    return this.kind !== 'session' && this.#meanMs <= this.#floor.ms + FAST_MS
  }

  /**
   * Notes how long an answer on a session of its own took. Only the best of a few counts: a busy
   * machine makes all of them long, the more so the more sessions are at work, and would keep short
   * statements from the very connections on which they are least work.
   */
  observeAlone(ms: number): void {
    if (this.isFast) return
    const trial = this.#trial
    trial.answers += 1
    trial.bestMs = Math.min(trial.bestMs, ms)
    if (trial.answers < TRIAL_ANSWERS * 2 ** this.#strikes) return
    this.#meanMs = trial.bestMs
    this.#trial = { answers: 0, bestMs: Infinity }
  }

  /** Notes for how long the server was at it on a shared connection. */
  observe(ms: number): void {
    this.#fold(Math.min(ms, this.#floor.ms + OUTLIER_MS))
  }

  /** Notes that it held up others for so long, which is no mistake of measuring. */
  overstayed(ms: number): void {
    this.#fold(Math.max(ms, this.#floor.ms + OUTLIER_MS, this.#neededFor(2 * FAST_MS)))
  }

  /** It was not slow after all: its connection was frozen. */
  acquit(): void {
    this.#meanMs = Math.min(this.#meanMs, this.#floor.ms)
    this.#strikes = Math.max(0, this.#strikes - 1)
  }

  /** What must be folded in for the mean to be so far above the floor. */
  #neededFor(ms: number): number {
    return this.#meanMs + (this.#floor.ms + ms - this.#meanMs) / SMOOTHING
  }

  #fold(ms: number): void {
    const wasFast = this.isFast
    this.#meanMs += SMOOTHING * (ms - this.#meanMs)
    if (!this.isFast) {
      if (wasFast) this.#strikes = Math.min(MAX_STRIKES, this.#strikes + 1)
      this.#goodAnswers = 0
      return
    }
    this.#goodAnswers += 1
    if (this.#goodAnswers < FORGET_AFTER) return
    this.#goodAnswers = 0
    this.#strikes = Math.max(0, this.#strikes - 1)
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
