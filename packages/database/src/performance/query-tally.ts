import type { PlanFinding } from '../postgres/index.ts'
import type { HeavyHitter } from './heavy-hitters.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { Reservoir } from './reservoir.ts'

/** Parameter lists sampled of one fingerprint. */
const SAMPLES = 32

/** One fingerprint as it stands. */
export interface TrackedQuery {
  readonly fingerprint: string
  /** The statement without constants, or the shape of a MongoDB operation. */
  readonly statement: string
  readonly database: 'postgres' | 'mongodb'
  readonly count: number
  readonly errors: number
  readonly rows: number
  readonly cacheHits: number
  readonly totalMs: number
  /** By how much `totalMs` may fall short: what was forgotten while others were heavier. */
  readonly missedMs: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** How many of them were slow. */
  readonly slow: number
  /** Of the plan seen last, if one was seen. */
  readonly planHash: string | undefined
}

/** What is counted of one fingerprint. */
export class QueryTally {
  readonly latency: LatencyHistogram = new LatencyHistogram()
  readonly samples: Reservoir<readonly unknown[]>
  statement: string
  database: TrackedQuery['database'] = 'postgres'
  fingerprint: string
  errors = 0
  rows = 0
  cacheHits = 0
  slow = 0
  /** When it was slow, or failed, for the first time, in milliseconds since the Unix epoch. */
  slowSinceMs: number | undefined
  failingSinceMs: number | undefined
  planHash: string | undefined
  /** What was wrong with the plan seen last. */
  findings: readonly PlanFinding[] = []
  /** Whether it is reported still, and not counted elsewhere or forgotten. */
  isCurrent = true

  constructor(key: string, random: () => number) {
    this.statement = key
    this.fingerprint = key
    this.samples = new Reservoir(SAMPLES, random)
  }
}

/** Adds what was counted under two names of one query. */
export function mergeTallies(into: QueryTally, from: QueryTally): void {
  into.latency.add(from.latency)
  into.errors += from.errors
  into.rows += from.rows
  into.cacheHits += from.cacheHits
  into.slow += from.slow
  into.slowSinceMs = earlier(into.slowSinceMs, from.slowSinceMs)
  into.failingSinceMs = earlier(into.failingSinceMs, from.failingSinceMs)
  for (const sample of from.samples.items) if (into.samples.wants()) into.samples.put(sample)
}

/** A tally as it is reported. */
export function trackedOf({ value, error }: HeavyHitter<QueryTally>): TrackedQuery {
  const { latency, fingerprint, statement, database, errors, rows, cacheHits, slow } = value
  const { count, totalMs, maxMs } = latency
  return {
    fingerprint,
    statement,
    database,
    count,
    errors,
    rows,
    cacheHits,
    totalMs,
    missedMs: error,
    meanMs: count === 0 ? 0 : totalMs / count,
    p50Ms: latency.quantileMs(0.5),
    p95Ms: latency.quantileMs(0.95),
    p99Ms: latency.quantileMs(0.99),
    maxMs,
    slow,
    planHash: value.planHash,
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}
