export {
  QueryPerformanceTracker,
  type QueryReport,
  type QueryReportOptions,
} from './query-performance-tracker.ts'
export type { QueryPerformanceOptions } from './query-performance-options.ts'
export {
  compareWithBaseline,
  parseBaseline,
  type BaselineQuery,
  type PerformanceBaseline,
  type PerformanceRegression,
  type RegressionLimits,
} from './baseline.ts'
export { LatencyHistogram } from './latency-histogram.ts'
export { mongoShape } from './mongo-shape.ts'
export type { QueryProblem } from './query-problems.ts'
export type { TrackedQuery } from './query-tally.ts'
export { redactValue } from './redact-value.ts'
export type { RepeatedQuery } from './repeated-queries.ts'
export type { SlowQuery } from './slow-queries.ts'
