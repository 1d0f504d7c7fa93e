/** One comparison: the same work done by several subjects, each in a process of its own. */
export interface Bench {
  /** `package.what`, the key of its table in `docs/performance.md`. */
  readonly name: string
  /** What one operation is, in words. */
  readonly title: string
  /** Real servers whose URLs the subjects get. @default none */
  readonly servers?: readonly BenchServer[]
  /** Subjects by name, ours first. */
  readonly subjects: Readonly<Record<string, SubjectFactory>>
  /** What must hold between them. @default none */
  readonly bars?: readonly Bar[]
  /** Length of one subject's turn in a round. @default 300 */
  readonly roundMs?: number
  /** Rounds, in each of which every subject has a turn. @default 5 */
  readonly rounds?: number
  /** Further flags for the subjects' processes. @default none */
  readonly nodeArguments?: readonly string[]
}

export type BenchServer = 'redis' | 'postgres' | 'mongo'

export interface BenchContext {
  /** URLs of the servers asked for. */
  readonly urls: Readonly<Record<BenchServer, string>>
  /** True in CI's single iteration: make data sets small. */
  readonly once: boolean
}

export type SubjectFactory = (context: BenchContext) => Subject | Promise<Subject>

/** Give `iterate` for an operation that is timed from outside, or `measure` for figures of your own. */
export interface Subject {
  /** Does the operation `count` times. Gives `nsPerOp`, `opsPerSec` and `cpuMicrosPerOp`. */
  iterate?(count: number): void | Promise<void>
  /** Works for about `budgetMs` and returns figures by name; `opsPerSec` and `nsPerOp` where they apply. */
  measure?(budgetMs: number): Figures | Promise<Figures>
  close?(): void | Promise<void>
}

export type Figures = Record<string, number>

/** A ratio between two subjects, or an absolute figure of one, and its limit. */
export interface Bar {
  readonly subject: string
  /** The subject whose figure is the divisor; without it the figure itself is judged. */
  readonly over?: string
  /** @default 'nsPerOp' */
  readonly figure?: string
  readonly atMost?: number
  readonly atLeast?: number
}

/** Checks names and bars, so that a misspelt subject fails when the file is loaded. */
export function defineBench(bench: Bench): Bench {
  if (!/^[a-z]+\.[a-z0-9-]+$/.test(bench.name)) {
    throw new RangeError(`bench name must be 'package.what', got '${bench.name}'`)
  }
  for (const { subject, over, atMost, atLeast } of bench.bars ?? []) {
    for (const name of [subject, over]) {
      if (name !== undefined && bench.subjects[name] === undefined) {
        throw new RangeError(`bench ${bench.name}: a bar names '${name}', which is no subject`)
      }
    }
    if ((atMost === undefined) === (atLeast === undefined)) {
      throw new RangeError(`bench ${bench.name}: a bar needs one of atMost and atLeast`)
    }
  }
  return bench
}
