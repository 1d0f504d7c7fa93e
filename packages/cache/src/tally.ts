import type { BoundCounter, BoundHistogram, Metrics } from '@dharma/core'

/** A number that only grows, where no metrics are kept. */
class Tally implements BoundCounter {
  value = 0

  inc(by = 1): void {
    this.value += by
  }
}

/** A sum of observations, where no metrics are kept. */
class Sum {
  sum = 0

  observe(value: number): void {
    this.sum += value
  }
}

/** What a cache counts. The same numbers are its statistics and its metrics. */
export interface Tallies {
  readonly memoryHits: BoundCounter
  readonly redisHits: BoundCounter
  readonly staleHits: BoundCounter
  readonly misses: BoundCounter
  readonly loads: BoundCounter
  readonly loadFailures: BoundCounter
  readonly sets: BoundCounter
  readonly invalidations: BoundCounter
  readonly errors: BoundCounter
  readonly loadSeconds: Pick<BoundHistogram, 'observe' | 'sum'>
}

/** Counters of one cache, in `metrics` if there are any. */
export function createTallies(cache: string, metrics: Metrics | undefined): Tallies {
  const count = (name: string, help: string, tier?: string): BoundCounter => {
    if (metrics === undefined) return new Tally()
    const labels = tier === undefined ? ['cache'] : ['cache', 'tier']
    const values = tier === undefined ? [cache] : [cache, tier]
    return metrics.counter(`dharma_cache_${name}_total`, { help, labels }).bind(...values)
  }
  const hitHelp = 'Reads that found a current entry.'
  return {
    memoryHits: count('hits', hitHelp, 'memory'),
    redisHits: count('hits', hitHelp, 'redis'),
    staleHits: count('stale_hits', 'Reads that were served while a reload ran behind.'),
    misses: count('misses', 'Reads that found nothing current.'),
    loads: count('loads', 'Loader calls that ended well.'),
    loadFailures: count('load_failures', 'Loader calls that failed.'),
    sets: count('sets', 'Entries written.'),
    invalidations: count('invalidations', 'Invalidations that this process began.'),
    errors: count('errors', 'Errors that no caller waited for.'),
    loadSeconds:
      metrics
        ?.histogram('dharma_cache_load_seconds', {
          help: 'Time that loaders took.',
          labels: ['cache'],
        })
        .bind(cache) ?? new Sum(),
  }
}
