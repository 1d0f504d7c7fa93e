import { systemClock, type Clock } from '@dharma/core'

export interface QueryPerformanceOptions {
  /** Fingerprints kept, those of the greatest total time. From 1 to 100_000. @default 500 */
  readonly maxQueries?: number | undefined
  /** From when on a query is slow. Above 0. @default 1_000 */
  readonly slowMs?: number | undefined
  /** Slow queries remembered. At least 1. @default 100 */
  readonly maxSlowQueries?: number | undefined
  /** Shortest time between two plans asked for; 0 asks for none. @default 10_000 */
  readonly explainEveryMs?: number | undefined
  /** How often one request may send one fingerprint before it counts as repeated. At least 2. @default 10 */
  readonly repeatedFrom?: number | undefined
  /** Told of a fingerprint that a request repeats, once a request. */
  readonly onRepeated?:
    | ((repeated: {
        readonly request: string
        readonly fingerprint: string
        readonly count: number
      }) => void)
    | undefined
  /** Errors that no caller waits for: of `onRepeated`, and of asking for a plan. @default ignored */
  readonly onError?: ((error: unknown) => void) | undefined
  /** @default systemClock */
  readonly clock?: Clock | undefined
  /** In [0, 1): for samples. @default Math.random */
  readonly random?: (() => number) | undefined
}

export interface QueryPerformanceSettings {
  readonly maxQueries: number
  readonly slowMs: number
  readonly maxSlowQueries: number
  readonly explainEveryMs: number
  readonly repeatedFrom: number
  readonly onRepeated: QueryPerformanceOptions['onRepeated']
  readonly onError: (error: unknown) => void
  readonly clock: Clock
  readonly random: () => number
}

/** @throws RangeError naming option, limit and value */
export function resolvePerformanceOptions({
  maxQueries = 500,
  slowMs = 1_000,
  maxSlowQueries = 100,
  explainEveryMs = 10_000,
  repeatedFrom = 10,
  onRepeated,
  onError = () => undefined,
  clock = systemClock,
  random = Math.random,
}: QueryPerformanceOptions): QueryPerformanceSettings {
  check('maxQueries', maxQueries, 1, 100_000)
  check('slowMs', slowMs, Number.MIN_VALUE, Infinity)
  check('maxSlowQueries', maxSlowQueries, 1, 100_000)
  check('explainEveryMs', explainEveryMs, 0, Infinity)
  check('repeatedFrom', repeatedFrom, 2, Infinity)
  return {
    maxQueries,
    slowMs,
    maxSlowQueries,
    explainEveryMs,
    repeatedFrom,
    onRepeated,
    onError,
    clock,
    random,
  }
}

function check(option: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new RangeError(`${option} must be from ${min} to ${max}, got ${value}`)
}
