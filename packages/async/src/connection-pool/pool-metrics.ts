import type { BoundHistogram, Metrics } from '@dharma/core'
import type { PoolCounts, PoolTotals } from './pool-stats.ts'

const COUNTERS: Readonly<Record<keyof PoolTotals, readonly [name: string, help: string]>> = {
  acquired: ['acquired', 'Leases given.'],
  waited: ['waited', 'Leases that had to be waited for.'],
  timedOut: ['timed_out', 'Waiters that met their deadline.'],
  aborted: ['aborted', 'Waiters whose signal aborted.'],
  refused: ['refused', 'Callers refused: queue full, factory failing or pool closed.'],
  created: ['created', 'Resources opened.'],
  createFailed: ['create_failed', 'Attempts to open a resource that failed.'],
  destroyed: ['destroyed', 'Resources destroyed.'],
  invalid: ['invalid', 'Resources that did not pass validation or reset.'],
  leaked: ['leaked', 'Leases that lasted suspiciously long.'],
}

const STATES = ['idle', 'leased', 'checking', 'creating', 'closing'] as const

/** The pool's figures as metrics with a label `pool`, brought up to date at its ticks. */
export class PoolMetrics {
  readonly waitSeconds: BoundHistogram
  readonly #publish: (counts: PoolCounts, totals: PoolTotals) => void

  constructor(metrics: Metrics, pool: string) {
    const counters = Object.entries(COUNTERS).map(([total, [name, help]]) => {
      const counter = metrics.counter(`dharma_pool_${name}_total`, { help, labels: ['pool'] })
      return { total: total as keyof PoolTotals, bound: counter.bind(pool), published: 0 }
    })
    const resources = metrics.gauge('dharma_pool_resources', {
      help: 'Resources by state.',
      labels: ['pool', 'state'],
    })
    const byState = STATES.map((state) => ({ state, bound: resources.bind(pool, state) }))
    const waiting = metrics
      .gauge('dharma_pool_waiting', { help: 'Callers waiting for a lease.', labels: ['pool'] })
      .bind(pool)
    const max = metrics
      .gauge('dharma_pool_max', { help: 'Resources allowed at most.', labels: ['pool'] })
      .bind(pool)
    this.waitSeconds = metrics
      .histogram('dharma_pool_wait_seconds', {
        help: 'Waits for a lease that were not at once; of many, a sample of one in 16.',
        labels: ['pool'],
      })
      .bind(pool)
    this.#publish = (counts, totals) => {
      for (const counter of counters) {
        counter.bound.inc(totals[counter.total] - counter.published)
        counter.published = totals[counter.total]
      }
      for (const { state, bound } of byState) bound.set(counts[state])
      waiting.set(counts.waiting)
      max.set(counts.max)
    }
  }

  publish(counts: PoolCounts, totals: PoolTotals): void {
    this.#publish(counts, totals)
  }
}
