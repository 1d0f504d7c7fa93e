export interface IndexAdvisorOptions {
  /**
   * Whether tables may be copied in part, into an unlogged schema that is dropped at the end, to verify
   * what HypoPG cannot. It writes. @default false
   */
  readonly copiesTables?: boolean | undefined
  /** Rows of a copy at most. From 1_000 to 10_000_000. @default 50_000 */
  readonly maxCopyRows?: number | undefined
  /** All advised indexes together at most. Above 0. @default Infinity */
  readonly maxSizeBytes?: number | undefined
  /** Indexes advised at most. At least 1. @default 50 */
  readonly maxIndexes?: number | undefined
  /** Statements looked at, those of the greatest total time. At least 1. @default 200 */
  readonly maxStatements?: number | undefined
  /**
   * How long the workload took to happen. With it, the server's own counters of writes are used, which
   * see what the workload does not. Above 0. @default undefined
   */
  readonly workloadSeconds?: number | undefined
  /** Statistics younger than this do not say that an index is unused. At least 0. @default 604_800 (a week) */
  readonly minUnusedSeconds?: number | undefined
  /** Ends the work between two statements; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface AdvisorSettings {
  readonly copiesTables: boolean
  readonly maxCopyRows: number
  readonly maxSizeBytes: number
  readonly maxIndexes: number
  readonly maxStatements: number
  readonly workloadSeconds: number | undefined
  readonly minUnusedSeconds: number
  readonly signal: AbortSignal | undefined
}

/** @throws RangeError naming option, limit and value */
export function resolveAdvisorOptions({
  copiesTables = false,
  maxCopyRows = 50_000,
  maxSizeBytes = Infinity,
  maxIndexes = 50,
  maxStatements = 200,
  workloadSeconds,
  minUnusedSeconds = 604_800,
  signal,
}: IndexAdvisorOptions): AdvisorSettings {
  check('maxCopyRows', maxCopyRows, 1_000, 10_000_000)
  check('maxSizeBytes', maxSizeBytes, Number.MIN_VALUE, Infinity)
  check('maxIndexes', maxIndexes, 1, Infinity)
  check('maxStatements', maxStatements, 1, Infinity)
  check('workloadSeconds', workloadSeconds ?? 1, Number.MIN_VALUE, Infinity)
  check('minUnusedSeconds', minUnusedSeconds, 0, Infinity)
  return {
    copiesTables,
    maxCopyRows,
    maxSizeBytes,
    maxIndexes,
    maxStatements,
    workloadSeconds,
    minUnusedSeconds,
    signal,
  }
}

function check(name: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return
  throw new RangeError(`${name} must be from ${min} to ${max}, got ${value}`)
}
