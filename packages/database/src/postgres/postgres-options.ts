import { systemClock, type Clock, type Metrics } from '@dharma/core'

export interface PostgresManagerOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`; is never shown. */
  readonly url: string
  /** Stands in metrics, errors and health. @default 'postgres' */
  readonly name?: string
  /** How the server and its operators name this service. @default none */
  readonly applicationName?: string
  readonly pool?: PostgresPoolOptions
  /**
   * Sends short single statements of many callers over a few shared connections, beside those of
   * the pool, without waiting for the answers of others. Which ones, is found out by their times;
   * false, or `maxStatements: 0`, sends all through the pool. @default true
   */
  readonly pipeline?: boolean | PipelineOptions
  /** Longest time of a statement, waiting for a connection included. Above 0. @default 30_000 */
  readonly queryTimeoutMs?: number
  /** Longest attempt to connect. Above 0. @default 5000 */
  readonly connectTimeoutMs?: number
  /** Prepared statements a session keeps; 0 prepares none, for poolers in transaction mode. @default 256 */
  readonly maxStatements?: number
  readonly metrics?: Metrics
  /** @default systemClock */
  readonly clock?: Clock
  /** Uniform in [0, 1): jitter of pauses. @default Math.random */
  readonly random?: () => number
}

export interface PostgresPoolOptions {
  /** Connections kept open. From 0 to `max`. @default 1 */
  readonly min?: number
  /** Connections at most. At least 1. @default 10 */
  readonly max?: number
  /** After how long an unused connection above `min` is closed. Above 0. @default 60_000 */
  readonly idleTimeoutMs?: number
  /** Callers waiting for a connection at most; further ones are refused at once. @default 10_000 */
  readonly maxWaiting?: number
}

export interface PipelineOptions {
  /** Shared connections at most; how many are best is found out under load. From 1 to 4. @default 4 */
  readonly maxConnections?: number
}

export interface PostgresSettings {
  readonly url: string
  readonly name: string
  readonly applicationName: string | undefined
  readonly pool: Required<PostgresPoolOptions>
  /** Shared connections at most; 0 if there are none. */
  readonly pipelineConnections: number
  readonly queryTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxStatements: number
  readonly metrics: Metrics | undefined
  readonly clock: Clock
  readonly random: () => number
}

/** @throws TypeError for a wrong URL, RangeError naming option, limit and value */
export function resolvePostgresOptions(options: PostgresManagerOptions): PostgresSettings {
  const {
    url,
    name = 'postgres',
    applicationName,
    pool: { min = 1, max = 10, idleTimeoutMs = 60_000, maxWaiting = 10_000 } = {},
    pipeline = true,
    queryTimeoutMs = 30_000,
    connectTimeoutMs = 5_000,
    maxStatements = 256,
    metrics,
    clock = systemClock,
    random = Math.random,
  } = options
  if (!/^postgres(?:ql)?:\/\//.test(url)) {
    throw new TypeError('url must begin with postgres:// or postgresql://')
  }
  for (const [option, value] of Object.entries({ queryTimeoutMs, connectTimeoutMs })) {
    if (!(value > 0)) throw new RangeError(`${option} must be above 0, got ${value}`)
  }
  if (!Number.isSafeInteger(maxStatements) || maxStatements < 0) {
    throw new RangeError(`maxStatements must be a whole number of at least 0, got ${maxStatements}`)
  }
  const { maxConnections = 4 } = typeof pipeline === 'boolean' ? {} : pipeline
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 1 || maxConnections > 4) {
    throw new RangeError(
      `pipeline.maxConnections must be a whole number from 1 to 4, got ${maxConnections}`,
    )
  }
  return {
    url,
    name,
    applicationName,
    pool: { min, max, idleTimeoutMs, maxWaiting },
    pipelineConnections: pipeline === false || maxStatements === 0 ? 0 : maxConnections,
    queryTimeoutMs,
    connectTimeoutMs,
    maxStatements,
    metrics,
    clock,
    random,
  }
}
