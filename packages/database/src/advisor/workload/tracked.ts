import type { PerformanceBaseline, QueryPerformanceTracker } from '../../performance/index.ts'
import type { WorkloadRecord } from './workload.ts'

/**
 * What a tracker has seen of PostgreSQL, with its samples of parameters. Its texts have no constants:
 * those became parameters with numbers after the sampled ones, and are guessed from the statistics.
 */
export function workloadOfTracker(tracker: QueryPerformanceTracker): WorkloadRecord[] {
  return tracker
    .report()
    .queries.filter(({ database }) => database === 'postgres')
    .map(({ fingerprint, statement: text, count: calls, meanMs }) => {
      return { text, calls, meanMs, samples: tracker.samples(fingerprint) }
    })
}

/** What was saved of a tracker. It holds no parameters. */
export function workloadOfBaseline({ queries }: PerformanceBaseline): WorkloadRecord[] {
  return queries.map(({ statement: text, count: calls, meanMs }) => ({ text, calls, meanMs }))
}
