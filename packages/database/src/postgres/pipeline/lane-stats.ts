import type { BoundCounter, Metrics } from '@dharma/core'

/** What the fast lane has counted since it was made. */
export interface FastLaneTotals {
  /** Statements answered, errors of the server included. */
  answered: number
  /** Statements that were sent again or ran in the other lane after all. */
  moved: number
  /** Statements that held up those behind them. */
  overstayed: number
  /** Connections lost, those that were given up as frozen included. */
  lost: number
  /** Connections given up because they no longer answered. */
  frozen: number
}

/** The fast lane at one moment, and its totals since it was made. */
export interface FastLaneStats {
  readonly connections: number
  /** Connections that the lane wants to have under load. */
  readonly wantedConnections: number
  readonly inFlight: number
  /** Statements waiting for a place. */
  readonly waiting: number
  readonly totals: Readonly<FastLaneTotals>
}

const HELP: Readonly<Record<keyof FastLaneTotals, string>> = {
  answered: 'Statements answered on shared connections.',
  moved: 'Statements that left a shared connection for another one.',
  overstayed: 'Statements that held up others on a shared connection.',
  lost: 'Shared connections lost.',
  frozen: 'Shared connections given up because they no longer answered.',
}

/** Counts in {@link FastLaneTotals} and brings the counts to the metrics now and then. */
export class LaneCounter {
  readonly totals: FastLaneTotals = { answered: 0, moved: 0, overstayed: 0, lost: 0, frozen: 0 }
  readonly #published: FastLaneTotals = { ...this.totals }
  readonly #counters: ReadonlyMap<keyof FastLaneTotals, BoundCounter>

  constructor(metrics: Metrics | undefined, database: string) {
    const names = metrics === undefined ? [] : (Object.keys(HELP) as (keyof FastLaneTotals)[])
    this.#counters = new Map(
      names.map((name) => {
        const full = `dharma_postgres_pipeline_${name}_total`
        const counter = (metrics as Metrics).counter(full, {
          help: HELP[name],
          labels: ['database'],
        })
        return [name, counter.bind(database)]
      }),
    )
  }

  publish(): void {
    for (const [name, counter] of this.#counters) {
      counter.inc(this.totals[name] - this.#published[name])
      this.#published[name] = this.totals[name]
    }
  }
}
