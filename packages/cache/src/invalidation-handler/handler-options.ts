import { systemClock, type Clock, type Metrics } from '@dharma/core'
import type { Cache } from '../cache.ts'
import { checkNumber } from '../entry-options.ts'
import type { RedisTarget } from '../redis/redis-options.ts'
import type { DomainEvent } from './define-event.ts'

export interface InvalidationHandlerOptions {
  /** Name of the service, the same in all its processes. 1 to 64 of `A-Z a-z 0-9 _ . : -`. */
  readonly service: string
  /** The caches that events invalidate, whatever their namespaces. */
  readonly caches: readonly Pick<Cache, 'namespace' | 'invalidate'>[]
  /** Where the stream is that services share. Left out, events reach this process' caches alone. */
  readonly redis?: RedisTarget | undefined
  /** Events besides the built-in ones; one of the same name goes before. @default none */
  readonly events?: readonly DomainEvent[] | undefined
  /** Name of the stream, the same in all services. @default 'dharma:events' */
  readonly stream?: string | undefined
  /**
   * Whether one process of the service applies an event, as is right where caches share Redis, or each
   * does, as caches in memory alone need it. @default 'once-per-service'
   */
  readonly delivery?: 'once-per-service' | 'every-process' | undefined
  /**
   * What an event does that is known but cannot be read, from a newer version of a service for example:
   * it may have meant anything, so caches are cleared, or nothing. @default 'clear'
   */
  readonly unreadable?: 'clear' | 'skip' | undefined
  /** Events that the stream keeps, about, for services that are down. At least 1. @default 100_000 */
  readonly maxLogLength?: number | undefined
  /** Events that are kept here while Redis is away. At least 1. @default 10_000 */
  readonly maxBacklog?: number | undefined
  /** Limit of every command to Redis. At least 1. @default 1_000 */
  readonly timeoutMs?: number | undefined
  /** How long one read waits for events. At least 10. @default 1_000 */
  readonly blockMs?: number | undefined
  /** After how long another process does again what one took and did not finish. At least 10. @default 10_000 */
  readonly claimAfterMs?: number | undefined
  /** How long the id of an event is remembered. At least 1. @default 600_000 */
  readonly dedupeMs?: number | undefined
  /** What is done now and then; `false` for nothing. @default with its defaults */
  readonly maintenance?: MaintenanceOptions | false | undefined
  readonly metrics?: Metrics | undefined
  /** Errors that no caller waits for. @default ignored */
  readonly onError?: ((error: unknown) => void) | undefined
  readonly clock?: Clock | undefined
}

export interface MaintenanceOptions {
  /** Time between two runs, over all processes of the service. At least 100. @default 60_000 */
  readonly everyMs?: number | undefined
  /** Keys that one run looks at, about, on each node. At least 1. @default 200 */
  readonly sampleSize?: number | undefined
  /** How long nobody must have used a tag record before it is removed. At least 1_000. @default 86_400_000 */
  readonly unusedTagMs?: number | undefined
  /** After what silence a process counts as gone. At least 10. @default 600_000 */
  readonly goneAfterMs?: number | undefined
}

/** {@link InvalidationHandlerOptions}, checked, with defaults in place. */
export interface HandlerLimits {
  readonly stream: string
  readonly delivery: 'once-per-service' | 'every-process'
  readonly unreadable: 'clear' | 'skip'
  readonly maxLogLength: number
  readonly maxBacklog: number
  readonly timeoutMs: number
  readonly blockMs: number
  readonly claimAfterMs: number
  readonly dedupeMs: number
  readonly clock: Clock
  readonly maintenance: MaintenanceLimits | undefined
}

/** {@link MaintenanceOptions} with defaults in place. */
export interface MaintenanceLimits {
  readonly everyMs: number
  readonly sampleSize: number
  readonly unusedTagMs: number
  readonly goneAfterMs: number
}

/** @throws RangeError naming option, limit and value. */
export function checkHandlerOptions(options: InvalidationHandlerOptions): HandlerLimits {
  checkName('service', options.service)
  const limits: HandlerLimits = {
    stream: options.stream ?? 'dharma:events',
    delivery: options.delivery ?? 'once-per-service',
    unreadable: options.unreadable ?? 'clear',
    maxLogLength: options.maxLogLength ?? 100_000,
    maxBacklog: options.maxBacklog ?? 10_000,
    timeoutMs: options.timeoutMs ?? 1_000,
    blockMs: options.blockMs ?? 1_000,
    claimAfterMs: options.claimAfterMs ?? 10_000,
    dedupeMs: options.dedupeMs ?? 600_000,
    clock: options.clock ?? systemClock,
    maintenance: checkMaintenance(options.maintenance ?? {}),
  }
  checkName('stream', limits.stream)
  checkNumber('maxLogLength', limits.maxLogLength, 1, 100_000_000)
  checkNumber('maxBacklog', limits.maxBacklog, 1, 10_000_000)
  checkNumber('timeoutMs', limits.timeoutMs, 1, 60_000)
  checkNumber('blockMs', limits.blockMs, 10, 60_000)
  checkNumber('claimAfterMs', limits.claimAfterMs, 10, 86_400_000)
  checkNumber('dedupeMs', limits.dedupeMs, 1, 2 ** 32 - 1)
  return limits
}

function checkMaintenance(options: MaintenanceOptions | false): MaintenanceLimits | undefined {
  if (options === false) return undefined
  const limits = {
    everyMs: options.everyMs ?? 60_000,
    sampleSize: options.sampleSize ?? 200,
    unusedTagMs: options.unusedTagMs ?? 86_400_000,
    goneAfterMs: options.goneAfterMs ?? 600_000,
  }
  checkNumber('maintenance.everyMs', limits.everyMs, 100, 2 ** 31 - 1)
  checkNumber('maintenance.sampleSize', limits.sampleSize, 1, 1_000_000)
  checkNumber('maintenance.unusedTagMs', limits.unusedTagMs, 1_000, 2 ** 32 - 1)
  checkNumber('maintenance.goneAfterMs', limits.goneAfterMs, 10, 2 ** 32 - 1)
  return limits
}

function checkName(option: string, value: string): void {
  if (typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value)) return
  throw new RangeError(`${option} must be 1 to 64 of A-Z a-z 0-9 _ . : -, got '${value}'`)
}
