import type { LoadedData } from '../data/load-data.ts'
import type { InsertRates } from './insert-rates.ts'
import type { Comparison, ScoringResult } from './measure-service.ts'

export interface Results {
  readonly data: LoadedData
  readonly inserts: InsertRates
  readonly reads: readonly Comparison[]
  readonly staleReads: number
  readonly writes: number
  readonly oneByOne: ScoringResult
  readonly together: ScoringResult
}

type Line = readonly [what: string, plain: string, dharma: string, ratio: string]

/** Everything that was measured, each line with its ratio. */
export function renderResults(results: Results): string {
  const { reads, inserts, data, oneByOne, together } = results
  const lines: Line[] = [
    ['', 'without', 'with Dharma', 'ratio'],
    ...reads.flatMap(({ title, uncached, cached, uncachedQueries, cachedQueries }): Line[] => [
      [`${title}: p50`, ms(uncached.p50Ms), ms(cached.p50Ms), times(uncached.p50Ms, cached.p50Ms)],
      [`${title}: p99`, ms(uncached.p99Ms), ms(cached.p99Ms), times(uncached.p99Ms, cached.p99Ms)],
      [
        `${title}: requests/s`,
        count(uncached.requestsPerSecond),
        count(cached.requestsPerSecond),
        times(cached.requestsPerSecond, uncached.requestsPerSecond),
      ],
      [
        `${title}: queries a request`,
        uncachedQueries.toFixed(3),
        cachedQueries.toFixed(3),
        `${((1 - cachedQueries / uncachedQueries) * 100).toFixed(1)} % saved`,
      ],
    ]),
    ['stale reads after writes', '', `${results.staleReads} of ${results.writes}`, ''],
    [
      'COPY over INSERT, rows/s',
      count(inserts.single),
      count(inserts.copy),
      times(inserts.copy, inserts.single),
    ],
    [
      'COPY over 1,000-row INSERT',
      count(inserts.multiRow),
      count(inserts.copy),
      times(inserts.copy, inserts.multiRow),
    ],
    [
      'tasks/s, one by one and together',
      count(oneByOne.tasksPerSecond),
      count(together.tasksPerSecond),
      times(together.tasksPerSecond, oneByOne.tasksPerSecond),
    ],
  ]
  const loaded = `${count(data.rows)} rows by COPY at ${count(data.copyRowsPerSecond)}/s, ${count(data.documents)} documents`
  const bots = `${together.bots} of ${together.tasks} profiles look like bots`
  return `\n${table(lines)}\n\n${loaded}; ${bots}.\n`
}

function table(lines: readonly Line[]): string {
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  return lines
    .map((line) => {
      return line
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return column === 0 ? cell.padEnd(width) : cell.padStart(width)
        })
        .join('   ')
        .trimEnd()
    })
    .join('\n')
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function times(more: number, less: number): string {
  return less > 0 ? `${(more / less).toFixed(1)} ×` : 'below 1 ms'
}
