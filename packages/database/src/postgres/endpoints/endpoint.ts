import { LoadWindow } from '../../connection-pool-manager/load-window.ts'
import { FreezeDetector } from '../freeze-detector.ts'
import { PoolScaler } from '../pool-scaler.ts'
import type { QueryMetrics } from '../query-metrics.ts'
import { PostgresUnavailableError } from '../errors.ts'
import type { PostgresSettings } from '../postgres-options.ts'
import { Sessions } from '../sessions.ts'
import { StatementRunner, type RunnerOwner } from '../statement-runner.ts'
import { EndpointHealth } from './endpoint-health.ts'
import type { Lsn } from './lsn.ts'
import { probeRole, type RoleReport } from './role-probe.ts'

/**
 * `superseded`: calls itself a primary, but another one was promoted after it. Until it was asked,
 * a server is taken for what its place in the options says.
 */
export type EndpointRole = 'primary' | 'replica' | 'superseded'

/** What an endpoint tells the set it belongs to. */
export interface EndpointOwner {
  onReport(endpoint: Endpoint, report: RoleReport, sentMs: number): void
  onChange(): void
  readonly reroute: (
    endpoint: Endpoint,
    ...rest: Parameters<RunnerOwner['reroute']>
  ) => ReturnType<RunnerOwner['reroute']>
}

/** One server: its connections, its role, its health. */
export class Endpoint {
  /** Host and port. */
  readonly server: string
  readonly settings: PostgresSettings
  readonly sessions: Sessions
  readonly runner: StatementRunner
  readonly health: EndpointHealth
  readonly detector: FreezeDetector
  /** `undefined` where the pool keeps its size. */
  readonly scaler: PoolScaler | undefined
  role: EndpointRole
  /** 0 until it was seen as a primary. */
  timeline = 0
  /** How far a replica had replayed when it was last heard of; `undefined` while that is not known. */
  replayed: Lsn | undefined
  /** Reads under way that came here because it is a replica. */
  reads = 0

  constructor(
    settings: PostgresSettings,
    role: EndpointRole,
    metrics: QueryMetrics,
    owner: EndpointOwner,
  ) {
    const { clock, random } = settings
    this.settings = settings
    this.role = role
    this.server = serverOf(settings.url)
    this.health = new EndpointHealth({
      clock,
      random,
      probe: async (signal) => {
        const sentMs = clock.monotonicMs()
        owner.onReport(this, await probeRole(settings, signal), sentMs)
      },
      onDown: (error) => {
        this.replayed = undefined
        this.sessions.endAll(this.unavailable(error))
        this.runner.endAll()
        owner.onChange()
      },
      onAnswered: () => {
        this.sessions.checkIdle()
        owner.onChange()
      },
    })
    const window = settings.autoscale && new LoadWindow(clock.monotonicMs())
    this.detector = new FreezeDetector({ settings, onNoAnswer: () => this.health.suspect() })
    this.sessions = new Sessions(settings, this.health, this.detector, window)
    this.runner = new StatementRunner(settings, this.sessions, metrics, {
      health: this.health,
      detector: this.detector,
      reroute: (statement, options, error, hops) =>
        owner.reroute(this, statement, options, error, hops),
    })
    this.scaler = window && new PoolScaler(settings, this.sessions, this.runner, window)
  }

  /** The error for callers while the server is down. */
  unavailable(cause: Error): PostgresUnavailableError {
    const { state } = this.health
    const nowMs = this.settings.clock.monotonicMs()
    const retryAfterMs = state.kind === 'down' ? Math.max(0, state.retryAtMs - nowMs) : 0
    return new PostgresUnavailableError(this.server, cause.message, retryAfterMs, { cause })
  }
}

/** Host and port of a URL, which is all of it that may be shown. */
function serverOf(url: string): string {
  try {
    const { host, searchParams } = new URL(url)
    return host === '' ? (searchParams.get('host') ?? 'of the environment') : host
  } catch {
    return 'of the URL'
  }
}
