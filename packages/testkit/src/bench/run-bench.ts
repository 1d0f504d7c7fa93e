import type { Bar, Bench, BenchContext, Figures } from './define-bench.ts'
import { SubjectProcess } from './subject.ts'

/** What a bench gave: the medians of each subject's figures, and how each bar was met. */
export interface BenchResult {
  readonly bench: Bench
  readonly medians: Readonly<Record<string, Figures>>
  readonly bars: readonly BarResult[]
}

export interface BarResult {
  readonly bar: Bar
  readonly value: number
  readonly isMet: boolean
}

export interface RunBenchOptions {
  readonly context: BenchContext
  /** Called after each round. */
  readonly onRound?: (done: number, total: number) => void
}

/**
 * Runs a bench in interleaved rounds: every subject has one turn in each, in an order that rotates,
 * so that a change of the machine's load meets all alike. With `context.once` there is one short
 * round, which proves that the bench works and measures nothing.
 */
export async function runBench(
  file: string,
  bench: Bench,
  { context, onRound }: RunBenchOptions,
): Promise<BenchResult> {
  const names = Object.keys(bench.subjects)
  const roundMs = context.once ? 1 : (bench.roundMs ?? 300)
  const rounds = context.once ? 1 : (bench.rounds ?? 5)
  const subjects: SubjectProcess[] = []
  try {
    for (const name of names) subjects.push(await SubjectProcess.start(file, bench, name, context))
    if (!context.once) for (const subject of subjects) await subject.warmUp(roundMs)
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < subjects.length; turn++) {
        await subjects[(turn + round) % subjects.length]?.takeTurn(roundMs)
      }
      onRound?.(round + 1, rounds)
    }
  } finally {
    await Promise.all(subjects.map((subject) => subject.close()))
  }
  const medians = Object.fromEntries(subjects.map(({ name, rounds: all }) => [name, medianOf(all)]))
  return { bench, medians, bars: (bench.bars ?? []).map((bar) => judge(bar, medians)) }
}

function judge(bar: Bar, medians: Readonly<Record<string, Figures>>): BarResult {
  const figure = bar.figure ?? 'nsPerOp'
  const own = medians[bar.subject]?.[figure] ?? Number.NaN
  const value = bar.over === undefined ? own : own / (medians[bar.over]?.[figure] ?? Number.NaN)
  const isMet = bar.atMost === undefined ? value >= (bar.atLeast ?? 0) : value <= bar.atMost
  return { bar, value, isMet }
}

function medianOf(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((one) => one[name] ?? 0))]),
  )
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
