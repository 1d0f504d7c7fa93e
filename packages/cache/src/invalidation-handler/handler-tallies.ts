import { noopMetrics, type BoundHistogram, type Metrics } from '@dharma/core'

/** What became of an event. */
export type EventOutcome =
  | 'published'
  | 'duplicate'
  | 'applied'
  | 'ignored'
  | 'unreadable'
  | 'claimed'
  | 'gap'
  | 'error'

/** What a handler has done since its start. */
export type HandlerCounts = Readonly<Record<EventOutcome, number>>

/** Counts outcomes, as statistics and as metrics. */
export class HandlerTallies {
  readonly lag: BoundHistogram
  readonly #counts: Record<EventOutcome, number> = {
    published: 0,
    duplicate: 0,
    applied: 0,
    ignored: 0,
    unreadable: 0,
    claimed: 0,
    gap: 0,
    error: 0,
  }
  readonly #count: (outcome: EventOutcome, by: number) => void

  constructor(service: string, metrics: Metrics = noopMetrics) {
    const counter = metrics.counter('dharma_cache_domain_events_total', {
      help: 'Domain events, by what became of them.',
      labels: ['service', 'outcome'],
    })
    this.#count = (outcome, by) => counter.bind(service, outcome).inc(by)
    this.lag = metrics
      .histogram('dharma_cache_domain_event_lag_seconds', {
        help: 'Time from an event being appended to its being read by the service.',
        labels: ['service'],
      })
      .bind(service)
  }

  count(outcome: EventOutcome, by = 1): void {
    if (by === 0) return
    this.#counts[outcome] += by
    this.#count(outcome, by)
  }

  read(): HandlerCounts {
    return { ...this.#counts }
  }
}
