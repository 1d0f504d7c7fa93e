import { randomBytes } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { systemClock, type Clock, type Metrics } from '@dharma/core'

export interface PostgresManagerOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`; is never shown. */
  readonly url: string
  /**
   * URLs of the other servers of the same database. Which one is the primary is found out, and found
   * out again when it changes, so that `url` may name any of them. Each keeps one connection more,
   * over which it is asked. @default none
   */
  readonly replicas?: readonly string[]
  /** How old the data may be that a replica answers with. Above 0. @default 1_000 */
  readonly maxReplicaLagMs?: number
  /** How often servers are asked for their role and place in the log, where there are several. Above 0. @default 100 */
  readonly roleCheckMs?: number
  /**
   * How long operations wait for a primary that went away, from when it did; after that they are
   * refused at once, with the reason, until it is back. At least 0. @default 5_000
   */
  readonly outageWaitMs?: number
  /**
   * Encrypts, as `node:tls` takes it: `{ ca }` trusts that authority and none else. Not beside an
   * `sslmode` in the URL. @default what the URL says
   */
  readonly tls?: boolean | ConnectionOptions
  /** Stands in metrics, errors and health. @default 'postgres' */
  readonly name?: string
  /** How the server and its operators name this service. @default none */
  readonly applicationName?: string
  readonly pool?: PostgresPoolOptions
  /**
   * Sends short single statements of many callers over a few shared connections, beside those of
   * the pool, without waiting for the answers of others. Which ones, is found out by their times;
   * false, or `prepare: false`, sends all through the pool. @default true
   */
  readonly pipeline?: boolean | PipelineOptions
  /** Longest time of a statement, waiting for a connection included. Above 0. @default 30_000 */
  readonly queryTimeoutMs?: number
  /** Longest attempt to connect. Above 0. @default 5000 */
  readonly connectTimeoutMs?: number
  /** Prepared statements a session keeps, the least used making room. At least 0; 0 is as `prepare: false`. @default 256 */
  readonly maxStatements?: number
  /**
   * False for a pooler in transaction mode (such as PgBouncer), which hands each transaction another
   * session: nothing is prepared, `pipeline` is off, and `listen` is refused. @default true
   */
  readonly prepare?: boolean
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
  /**
   * Sizes the pool by the time callers wait, beginning with `max` connections, within this instance's
   * share of what the server has. Instances find each other by the end that this adds to
   * `applicationName`, so not through a pooler. @default false
   */
  readonly autoscale?: boolean | AutoscaleOptions
  /** After how long an unused connection above `min` is closed. Above 0. @default 60_000 */
  readonly idleTimeoutMs?: number
  /** Callers waiting for a connection at most; further ones are refused at once. @default 10_000 */
  readonly maxWaiting?: number
}

export interface AutoscaleOptions {
  /** Connections at most, whatever the share allows. At least `min`. @default 100 */
  readonly max?: number
  /**
   * Part of the server's connections, those reserved for superusers excluded, that all instances of
   * this service may have together. Above 0, at most 1. @default 0.8
   */
  readonly serverShare?: number
}

export interface PipelineOptions {
  /** Shared connections at most; how many are best is found out under load. From 1 to 4. @default 4 */
  readonly maxConnections?: number
}

export interface PostgresSettings {
  readonly url: string
  readonly replicas: readonly string[]
  readonly maxReplicaLagMs: number
  readonly roleCheckMs: number
  readonly outageWaitMs: number
  readonly tls: boolean | ConnectionOptions | undefined
  readonly isPooled: boolean
  readonly name: string
  readonly applicationName: string | undefined
  readonly pool: Required<Omit<PostgresPoolOptions, 'autoscale'>>
  /** `undefined` where the pool keeps its size. */
  readonly autoscale: Required<AutoscaleOptions> | undefined
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
    replicas = [],
    maxReplicaLagMs = 1_000,
    roleCheckMs = 100,
    outageWaitMs = 5_000,
    tls,
    name = 'postgres',
    applicationName,
    pool: {
      min = 1,
      max = 10,
      idleTimeoutMs = 60_000,
      maxWaiting = 10_000,
      autoscale = false,
    } = {},
    pipeline = true,
    queryTimeoutMs = 30_000,
    connectTimeoutMs = 5_000,
    maxStatements = 256,
    prepare = true,
    metrics,
    clock = systemClock,
    random = Math.random,
  } = options
  checkUrl('url', url, tls)
  replicas.forEach((replica, index) => checkUrl(`replicas[${index}]`, replica, tls))
  const durations = { queryTimeoutMs, connectTimeoutMs, maxReplicaLagMs, roleCheckMs }
  for (const [option, value] of Object.entries(durations)) {
    if (!(value > 0)) throw new RangeError(`${option} must be above 0, got ${value}`)
  }
  if (!(outageWaitMs >= 0)) {
    throw new RangeError(`outageWaitMs must be at least 0, got ${outageWaitMs}`)
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
  const scale = resolveAutoscale(autoscale, min)
  if (scale !== undefined && !prepare) {
    throw new TypeError('pool.autoscale counts sessions of the server, which prepare: false hides')
  }
  const isPrepared = prepare && maxStatements > 0
  return {
    url,
    replicas,
    outageWaitMs,
    tls,
    isPooled: !prepare,
    name,
    applicationName: scale === undefined ? applicationName : instanceName(applicationName ?? name),
    autoscale: scale,
    pool: { min, max, idleTimeoutMs, maxWaiting },
    pipelineConnections: pipeline === false || !isPrepared ? 0 : maxConnections,
    ...durations,
    maxStatements: isPrepared ? maxStatements : 0,
    metrics,
    clock,
    random,
  }
}

/** @throws RangeError naming option, limit and value */
function resolveAutoscale(
  autoscale: boolean | AutoscaleOptions,
  min: number,
): Required<AutoscaleOptions> | undefined {
  if (autoscale === false) return undefined
  const { max = 100, serverShare = 0.8 } = autoscale === true ? {} : autoscale
  if (!Number.isSafeInteger(max) || max < Math.max(1, min)) {
    throw new RangeError(`pool.autoscale.max must be a whole number of at least min, got ${max}`)
  }
  if (!(serverShare > 0 && serverShare <= 1)) {
    throw new RangeError(
      `pool.autoscale.serverShare must be above 0 and at most 1, got ${serverShare}`,
    )
  }
  return { max, serverShare }
}

/** The server keeps 63 bytes of an `application_name`. */
function instanceName(service: string): string {
  const ascii = service.replace(/[^\x20-\x7e]/g, '?').slice(0, 54)
  return `${ascii}#${randomBytes(4).toString('hex')}`
}

/** @throws TypeError that does not show the URL */
function checkUrl(option: string, url: string, tls: PostgresManagerOptions['tls']): void {
  if (!/^postgres(?:ql)?:\/\//.test(url)) {
    throw new TypeError(`${option} must begin with postgres:// or postgresql://`)
  }
  if (tls !== undefined && /[?&]ssl/.test(url)) {
    throw new TypeError(`${option} must not say how to encrypt where tls does`)
  }
}
