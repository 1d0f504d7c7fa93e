import type { Predicate } from '../analysis/statement-shape.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import type { ColumnFacts } from '../catalog/catalog.ts'

/** Samples of a statement that are explained. */
const MAX_RUNS = 3
/** What a parameter is taken for of which nothing is known: mostly LIMIT or OFFSET. */
const UNKNOWN = '10'

/** Lists of parameters to explain a statement with: samples, completed by guesses from the statistics. */
export function parametersOf({ entry, shape }: AnalyzedEntry): readonly (readonly unknown[])[] {
  const count = parameterCount(entry.statement, entry.text)
  if (count === 0) return [[]]
  const guesses = Array.from<unknown>({ length: count }).fill(UNKNOWN)
  for (const { predicates, ors } of shape.uses) {
    for (const predicate of [...predicates, ...ors.flat(2)]) guess(predicate, guesses)
  }
  const { samples } = entry
  if (samples.length === 0) return [guesses]
  const step = Math.max(1, Math.floor(samples.length / MAX_RUNS))
  const chosen = samples.filter((_, index) => index % step === 0).slice(0, MAX_RUNS)
  return chosen.map((sample) => guesses.map((value, index) => sampleAt(sample, index, value)))
}

function sampleAt(sample: readonly unknown[], index: number, guessed: unknown): unknown {
  return index < sample.length ? sample[index] : guessed
}

function parameterCount(statement: string, text: string): number {
  // Constants have a number in the statement without constants only.
  const own = text === statement ? statement : text
  const withoutStrings = own.replaceAll(/'(?:[^']|'')*'/g, '')
  const numbers = [...withoutStrings.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))
  return Math.max(0, ...numbers)
}

function guess({ kind, key, values }: Predicate, guesses: unknown[]): void {
  const { column } = key
  for (const [position, value] of values.entries()) {
    if (value.kind !== 'parameter' || column === undefined) continue
    const isRange = kind === 'range'
    // One bound of two is a part of a narrow range; a bound alone reads the last tenth.
    const at = isRange ? (values.length > 1 ? 0.45 + position * 0.1 : 0.9) : 0.5
    const typical = typicalValue(column, at, isRange)
    if (typical === undefined) continue
    guesses[value.number - 1] = kind === 'in' ? [typical] : typical
  }
}

function typicalValue(
  { bounds, commonValues }: ColumnFacts,
  at: number,
  isRange: boolean,
): string | undefined {
  const [first, second] = isRange ? [bounds, commonValues] : [commonValues, bounds]
  const values = first.length > 0 ? first : second
  return values[Math.min(values.length - 1, Math.floor(values.length * at))]
}
