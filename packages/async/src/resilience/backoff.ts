/**
 * How long to wait after a failed attempt, in milliseconds. Pure: the same arguments give the same
 * wait.
 *
 * @param attempt The attempt that just failed, from 1.
 * @param previousDelayMs The wait before that attempt, 0 for the first.
 * @param random Uniform in [0, 1), as `Math.random`.
 */
export type Backoff = (attempt: number, previousDelayMs: number, random: () => number) => number

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  /** The wait that the first retry is derived from, in milliseconds. More than 0. @default 100 */
  readonly baseMs?: number
  /** No wait is longer, in milliseconds. At least `baseMs`. @default 30_000 */
  readonly maxMs?: number
  /** The growth from one attempt to the next. At least 1. @default 2 */
  readonly factor?: number
  /**
   * `full` spreads best when many callers fail at once, `decorrelated` keeps a floor of `baseMs`,
   * `none` is for tests and for a single caller. @default 'full'
   */
  readonly jitter?: 'full' | 'decorrelated' | 'none'
}

/**
 * Exponential backoff. Full jitter is uniform in [0, min(maxMs, baseMs · factor^(attempt − 1)));
 * decorrelated jitter is min(maxMs, uniform in [baseMs, max(baseMs, previous) · (factor + 1))).
 * Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
 *
 * @throws RangeError when an option is out of its range.
 */
export function exponential(options: ExponentialOptions = {}): Backoff {
  const { baseMs = 100, maxMs = 30_000, factor = 2, jitter = 'full' } = options
  if (!(baseMs > 0 && Number.isFinite(baseMs))) {
    throw new RangeError(`baseMs must be a finite number above 0, got ${baseMs}`)
  }
  if (!(maxMs >= baseMs && Number.isFinite(maxMs))) {
    throw new RangeError(`maxMs must be finite and at least baseMs (${baseMs}), got ${maxMs}`)
  }
  if (!(factor >= 1 && Number.isFinite(factor))) {
    throw new RangeError(`factor must be a finite number of at least 1, got ${factor}`)
  }
  const ceiling = (attempt: number): number => Math.min(maxMs, baseMs * factor ** (attempt - 1))
  switch (jitter) {
    case 'none':
      return ceiling
    case 'full':
      return (attempt, _previousDelayMs, random) => random() * ceiling(attempt)
    case 'decorrelated':
      return (_attempt, previousDelayMs, random) => {
        const highestMs = Math.max(baseMs, previousDelayMs) * (factor + 1)
        return Math.min(maxMs, baseMs + random() * (highestMs - baseMs))
      }
  }
  throw new RangeError(`jitter must be 'full', 'decorrelated' or 'none', got ${String(jitter)}`)
}

/**
 * The same wait before every retry.
 *
 * @throws RangeError when `delayMs` is negative or not finite.
 */
export function constant(delayMs: number): Backoff {
  if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
    throw new RangeError(`delayMs must be a finite number of at least 0, got ${delayMs}`)
  }
  return () => delayMs
}
