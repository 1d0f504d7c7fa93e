import type { PerformanceRegression } from './baseline.ts'
import type { QueryTally, TrackedQuery } from './query-tally.ts'
import type { RepeatedQuery } from './repeated-queries.ts'

/** What is wrong with a query, why, since when, and what to do about it. No value of a query is in it. */
export interface QueryProblem {
  /** `slower` and `plan changed` are by comparison with a baseline. */
  readonly kind: 'slow' | 'repeated' | 'failing' | 'slower' | 'plan changed'
  readonly fingerprint: string
  readonly statement: string
  /** When it was first noticed; of a comparison, when the baseline was made. Milliseconds since the Unix epoch. */
  readonly sinceMs: number
  readonly why: string
  readonly remedy: string
  /** Time that the query has cost in all, by which the list is ordered. */
  readonly totalMs: number
}

/** Failures fewer than this, or a smaller part of the calls, are not worth a word. */
const MIN_ERRORS = 3
const MIN_ERROR_RATIO = 0.01

/** All that is wrong, the costliest first. */
export function problemsOf(
  queries: readonly { readonly tally: QueryTally; readonly tracked: TrackedQuery }[],
  repeated: readonly RepeatedQuery[],
  regressions: readonly PerformanceRegression[],
  baselineMs: number,
): QueryProblem[] {
  const totals = new Map(queries.map(({ tracked }) => [tracked.fingerprint, tracked.totalMs]))
  const totalOf = (fingerprint: string): number => totals.get(fingerprint) ?? 0
  return [
    ...queries.flatMap(({ tally, tracked }) => [
      ...slowProblem(tally, tracked),
      ...failingProblem(tally, tracked),
    ]),
    ...repeated.map((one) => repeatedProblem(one, totalOf(one.fingerprint))),
    ...regressions.map((one) => regressedProblem(one, baselineMs, totalOf(one.fingerprint))),
  ].toSorted((a, b) => b.totalMs - a.totalMs)
}

function slowProblem({ slowSinceMs, findings }: QueryTally, query: TrackedQuery): QueryProblem[] {
  if (slowSinceMs === undefined) return []
  const { slow, count, p95Ms, maxMs, rows } = query
  const rowsEach = Math.round(rows / Math.max(1, count))
  const times = `${slow} of ${count} calls were slow: 95 % took ${ms(p95Ms)} at most, the longest ${ms(maxMs)}, with ${rowsEach} rows each`
  return [
    {
      ...nameOf(query),
      kind: 'slow',
      sinceMs: slowSinceMs,
      why: [times, ...findings.map(({ message }) => message)].join('; '),
      remedy:
        findings.length > 0
          ? [...new Set(findings.map(({ remedy }) => remedy))].join('; ')
          : 'nothing is known to be wrong with its plan: run it with explain and analyze while it is slow, and look for locks, a full pool or a busy server',
      totalMs: query.totalMs,
    },
  ]
}

function failingProblem({ failingSinceMs }: QueryTally, query: TrackedQuery): QueryProblem[] {
  const { errors, count } = query
  const isRare = errors < MIN_ERRORS || errors / count < MIN_ERROR_RATIO
  if (failingSinceMs === undefined || isRare) return []
  return [
    {
      ...nameOf(query),
      kind: 'failing',
      sinceMs: failingSinceMs,
      why: `${errors} of ${count} calls failed`,
      remedy:
        'look at the errors that its callers got: each names a constraint, a deadline or a lost connection',
      totalMs: query.totalMs,
    },
  ]
}

function repeatedProblem(one: RepeatedQuery, totalMs: number): QueryProblem {
  return {
    ...nameOf(one),
    kind: 'repeated',
    sinceMs: one.sinceMs,
    why: `${one.request} sends it up to ${one.count} times a request, in ${one.requests} requests`,
    remedy:
      'read all at once: by a join, by `= any($1)` or `$in` with all keys, or by the loader of the manager',
    totalMs,
  }
}

function regressedProblem(
  { kind, ratio, before, now }: PerformanceRegression,
  sinceMs: number,
  totalMs: number,
): QueryProblem {
  if (kind === 'latency') {
    return {
      ...nameOf(now),
      kind: 'slower',
      sinceMs,
      why: `it takes ${ratio.toFixed(1)} times as long: ${ms(before.meanMs)} on average became ${ms(now.meanMs)}, and of 95 % ${ms(before.p95Ms)} became ${ms(now.p95Ms)}`,
      remedy: 'compare its plan and the size of its tables with those of that time',
      totalMs,
    }
  }
  return {
    ...nameOf(now),
    kind: 'plan changed',
    sinceMs,
    why: `the server runs it by another plan than at that time, at ${ratio.toFixed(1)} times the duration`,
    remedy: 'if it is slower: run ANALYZE on its tables, and see whether an index is gone',
    totalMs,
  }
}

function nameOf({ fingerprint, statement }: Pick<QueryProblem, 'fingerprint' | 'statement'>): {
  fingerprint: string
  statement: string
} {
  return { fingerprint, statement }
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`
}
