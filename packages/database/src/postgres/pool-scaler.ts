import type { Timer } from '@dharma/core'
import type { LoadWindow } from '../connection-pool-manager/load-window.ts'
import { ScalingLaw, type ScalingDecision } from '../connection-pool-manager/scaling-law.ts'
import type { PostgresSettings } from './postgres-options.ts'
import type { Sessions } from './sessions.ts'
import type { StatementRunner } from './statement-runner.ts'

const LOOK_MS = 250
const BUDGET_EVERY_MS = 2_000
/** Beside the pool: one that listens, one that asks for the server's role. */
const OTHER_CONNECTIONS = 2

/**
 * Places of the server, and instances of this service that share them. These are told apart by the
 * end of their `application_name`: it needs no table, no connection kept for a lock, and no cleaning
 * up, since the server forgets an instance with its last connection. Everyone may read these names.
 */
const BUDGET = `select current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int as places,
  greatest(1, count(distinct application_name))::int as instances
  from pg_stat_activity where starts_with(application_name, $1)`

/** What a scaler decided last, and on what ground. */
export interface PoolScaling extends ScalingDecision {
  /** Connections that the pool may have by its share of the server. */
  readonly ceiling: number
  /** Instances of this service seen, this one included. */
  readonly instances: number
}

/** Sizes the pool of one server by {@link ScalingLaw}, within this instance's share of the server's places. */
export class PoolScaler {
  readonly #settings: PostgresSettings
  readonly #sessions: Sessions
  readonly #runner: StatementRunner
  readonly #window: LoadWindow
  readonly #law: ScalingLaw
  readonly #timer: Timer
  #lastLookMs: number
  #budgetDueMs = 0
  #refusals = 0
  #scaling: PoolScaling

  constructor(
    settings: PostgresSettings,
    sessions: Sessions,
    runner: StatementRunner,
    window: LoadWindow,
  ) {
    const { clock, pool, autoscale } = settings
    this.#settings = settings
    this.#sessions = sessions
    this.#runner = runner
    this.#window = window
    const min = Math.max(1, pool.min)
    this.#law = new ScalingLaw({ min, max: autoscale?.max ?? pool.max }, pool.max)
    this.#scaling = { size: this.#law.size, reason: 'steady', ceiling: pool.max, instances: 1 }
    this.#lastLookMs = clock.monotonicMs()
    this.#timer = clock.setInterval(() => this.#look(), LOOK_MS, { keepsAlive: false })
  }

  get scaling(): PoolScaling {
    return this.#scaling
  }

  close(): void {
    this.#timer.cancel()
  }

  #look(): void {
    const nowMs = this.#settings.clock.monotonicMs()
    const { refusals } = this.#sessions
    const { meanLeased, size } = this.#sessions.load()
    const seen = {
      ...this.#window.take(nowMs),
      leased: meanLeased,
      ceiling: this.#scaling.ceiling,
      wasRefused: refusals > this.#refusals,
    }
    this.#refusals = refusals
    // After a pause of the process the window shows the pause.
    const isWhole = nowMs - this.#lastLookMs < 3 * LOOK_MS
    this.#lastLookMs = nowMs
    if (isWhole) this.#apply(this.#law.observe(seen))
    if (size > 0 && nowMs >= this.#budgetDueMs) {
      const { random } = this.#settings
      this.#budgetDueMs = nowMs + BUDGET_EVERY_MS * (0.75 + random() / 2)
      void this.#readBudget()
    }
  }

  #apply(decision: ScalingDecision): void {
    if (decision.size !== this.#scaling.size) this.#sessions.resize(decision.size)
    this.#scaling = { ...this.#scaling, ...decision }
  }

  async #readBudget(): Promise<void> {
    const { applicationName = '', autoscale, pipelineConnections } = this.#settings
    const service = applicationName.slice(0, applicationName.lastIndexOf('#') + 1)
    try {
      const { rows } = await this.#runner.run(BUDGET, [service], { timeoutMs: BUDGET_EVERY_MS })
      const { places, instances } = rows[0] as { places: number; instances: number }
      const share = Math.floor((places * (autoscale?.serverShare ?? 1)) / instances)
      const ceiling = Math.max(1, share - pipelineConnections - OTHER_CONNECTIONS)
      this.#scaling = { ...this.#scaling, ceiling, instances }
    } catch {
      // What was read last holds until the server answers again; callers meet its errors themselves.
    }
  }
}
