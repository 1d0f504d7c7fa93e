/** What was measured at one time, to be compared with later. Has no values in it; is JSON. */
export interface PerformanceBaseline {
  readonly format: 'dharma-performance-baseline'
  readonly version: 1
  /** ISO 8601. */
  readonly createdAt: string
  readonly queries: readonly BaselineQuery[]
}

export interface BaselineQuery {
  readonly fingerprint: string
  readonly statement: string
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  /** Of the plan seen last, if one was seen. */
  readonly planHash: string | undefined
}

export interface PerformanceRegression {
  readonly fingerprint: string
  readonly statement: string
  readonly kind: 'latency' | 'plan'
  readonly before: BaselineQuery
  readonly now: BaselineQuery
  /** How many times as slow, by the mean or the 95th percentile, whichever is worse. */
  readonly ratio: number
}

export interface RegressionLimits {
  /** From how many times as slow on it counts. Above 1. @default 1.5 */
  readonly ratio?: number
  /** And from how much on. At least 0. @default 1 */
  readonly minMs?: number
  /** Measured so often at least, before and now. At least 1. @default 30 */
  readonly minCount?: number
}

/** What has become slower or changed its plan, the worst first. */
export function compareWithBaseline(
  before: PerformanceBaseline,
  now: PerformanceBaseline,
  { ratio: limit = 1.5, minMs = 1, minCount = 30 }: RegressionLimits = {},
): PerformanceRegression[] {
  if (!(limit > 1)) throw new RangeError(`ratio must be above 1, got ${limit}`)
  const known = new Map(before.queries.map((query) => [query.fingerprint, query]))
  const regressions: PerformanceRegression[] = []
  for (const query of now.queries) {
    const old = known.get(query.fingerprint)
    if (old === undefined) continue
    const { fingerprint, statement } = query
    const ratio = Math.max(ratioOf(query.meanMs, old.meanMs), ratioOf(query.p95Ms, old.p95Ms))
    const facts = { fingerprint, statement, before: old, now: query, ratio }
    const isCounted = Math.min(query.count, old.count) >= minCount
    const moreMs = Math.max(query.meanMs - old.meanMs, query.p95Ms - old.p95Ms)
    if (isCounted && ratio >= limit && moreMs >= minMs) {
      regressions.push({ ...facts, kind: 'latency' })
    }
    const havePlans = query.planHash !== undefined && old.planHash !== undefined
    if (havePlans && query.planHash !== old.planHash) regressions.push({ ...facts, kind: 'plan' })
  }
  return regressions.toSorted((a, b) => b.ratio - a.ratio)
}

/** Reads a saved baseline. @throws TypeError where it is none, or of a version that is not known */
export function parseBaseline(json: string): PerformanceBaseline {
  const value: unknown = JSON.parse(json)
  if (!isRecord(value) || value['format'] !== 'dharma-performance-baseline') {
    throw new TypeError('this is no performance baseline')
  }
  if (value['version'] !== 1) {
    throw new TypeError(`version of the baseline must be 1, got ${String(value['version'])}`)
  }
  const { queries, createdAt } = value
  if (!Array.isArray(queries) || typeof createdAt !== 'string' || !queries.every(isQuery)) {
    throw new TypeError('the performance baseline is damaged')
  }
  return { format: 'dharma-performance-baseline', version: 1, createdAt, queries }
}

function isQuery(value: unknown): value is BaselineQuery {
  if (!isRecord(value)) return false
  const numbers = [value['count'], value['meanMs'], value['p50Ms'], value['p95Ms']]
  const texts = [value['fingerprint'], value['statement'], value['planHash'] ?? '']
  return (
    numbers.every((one) => typeof one === 'number') && texts.every((one) => typeof one === 'string')
  )
}

function ratioOf(now: number, before: number): number {
  return before > 0 ? now / before : 1
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
