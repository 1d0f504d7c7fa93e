import { randomUUID } from 'node:crypto'
import { ClosedError } from '@dharma/core'
import { RedisUnavailableError } from '../errors.ts'
import type { InvalidationResult } from '../invalidations.ts'
import type { InvalidationTargets } from '../redis/invalidation-writer.ts'
import { RedisLink } from '../redis/redis-link.ts'
import { RedisRunner } from '../redis/redis-runner.ts'
import type { DomainEvent } from './define-event.ts'
import { EventBacklog } from './event-backlog.ts'
import { EventReader } from './event-reader.ts'
import { EventRegistry } from './event-registry.ts'
import { EventStream, type StreamRecord } from './event-stream.ts'
import {
  checkHandlerOptions,
  type HandlerLimits,
  type InvalidationHandlerOptions,
} from './handler-options.ts'
import { HandlerTallies, type HandlerCounts } from './handler-tallies.ts'
import { Maintenance, type MaintenanceReport } from './maintenance.ts'
import { readSourceEvent, type SourceEvent } from './source-event.ts'

/** What a handler has done, and what it still has to do. */
export interface InvalidationHandlerStats {
  readonly events: HandlerCounts
  /** Events that wait for Redis. */
  readonly backlog: number
  readonly maintenance: MaintenanceReport | undefined
}

/** What it keeps open to Redis. */
interface Shared {
  readonly runner: RedisRunner
  readonly stream: EventStream
  readonly reader: EventReader
  readonly maintenance: Maintenance | undefined
}

/**
 * Turns domain events into invalidations, in this service and in all others that read the same stream,
 * whatever the namespaces of their caches. Every service applies every event at least once, also those
 * from while it was down; one that missed events which are not in the stream any more clears its
 * caches. Make one with {@link createInvalidationHandler}.
 */
export class InvalidationHandler implements AsyncDisposable {
  readonly #options: InvalidationHandlerOptions
  readonly #limits: HandlerLimits
  readonly #registry: EventRegistry
  readonly #tallies: HandlerTallies
  readonly #group: string
  readonly #backlog: EventBacklog
  readonly #shared: Shared | undefined
  #closing: Promise<void> | undefined

  /** @throws RangeError or TypeError naming the option that is wrong. */
  constructor(options: InvalidationHandlerOptions) {
    const limits = checkHandlerOptions(options)
    this.#options = options
    this.#limits = limits
    this.#registry = new EventRegistry(options.events ?? [])
    this.#tallies = new HandlerTallies(options.service, options.metrics)
    this.#backlog = new EventBacklog(limits.maxBacklog)
    const { service, redis } = options
    this.#group = limits.delivery === 'every-process' ? `${service}/${randomUUID()}` : service
    if (redis !== undefined) this.#shared = this.#open(redis)
  }

  /**
   * Says that something has happened: drops what it makes untrue here, then tells the other services.
   * `done` when both are acknowledged; `pending` when Redis is away: this process has dropped it, and
   * tells the others as soon as Redis is back, unless it ends before. Who must be sure keeps the
   * event until `done` and publishes it again; twice does no harm.
   *
   * @throws UnknownEventError when the handler was not given the event
   * @throws InvalidEventError when the payload does not match
   * @throws EventBacklogFullError when too many wait already
   */
  async publish<Payload>(
    event: DomainEvent<Payload>,
    payload: NoInfer<Payload>,
  ): Promise<InvalidationResult> {
    return this.#publish({ name: event.name, payload })
  }

  /**
   * {@link publish} for an event of another system, as a value or as JSON text: the payload of a PostgreSQL
   * `NOTIFY`, a document of a change stream, a row of an outbox. With an `id`, an event that many
   * processes hear is shared once.
   */
  async handle(event: SourceEvent | string): Promise<InvalidationResult> {
    return this.#publish(readSourceEvent(event))
  }

  /** Resolves when the stream was read for the first time; at once without Redis. */
  async ready(): Promise<void> {
    await this.#shared?.reader.started
  }

  /** Runs the maintenance now. @throws RedisUnavailableError */
  async maintain(): Promise<MaintenanceReport | undefined> {
    this.#assertOpen()
    return this.#shared?.maintenance?.run()
  }

  stats(): InvalidationHandlerStats {
    return {
      events: this.#tallies.read(),
      backlog: this.#backlog.size,
      maintenance: this.#shared?.maintenance?.last,
    }
  }

  /** Tells Redis what it can still be told, and closes the connections. The caches stay open. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(redis: NonNullable<InvalidationHandlerOptions['redis']>): Shared {
    const { clock, timeoutMs, blockMs, claimAfterMs, maxLogLength, dedupeMs } = this.#limits
    const onError = (error: unknown): void => this.#report(error)
    const link = RedisLink.open(redis, onError)
    const runner = new RedisRunner({ link, clock, timeoutMs, onBreaker: () => undefined })
    const stream = new EventStream({
      runner,
      stream: this.#limits.stream,
      group: this.#group,
      maxLength: maxLogLength,
      dedupeMs,
    })
    const reader = new EventReader({
      stream,
      link: link.duplicate(),
      clock,
      blockMs,
      claimAfterMs,
      apply: (record, nowMs) => this.#apply(record, nowMs),
      onGap: () => {
        this.#tallies.count('gap')
        return this.#invalidate({ everything: true })
      },
      onRound: () => this.#backlog.drain((record, id) => this.#append(record, id)),
      onClaimed: (count) => this.#tallies.count('claimed', count),
      onError,
    })
    const { maintenance: limits } = this.#limits
    const { service, caches } = this.#options
    const namespaces = [...new Set(caches.map(({ namespace }) => namespace))]
    const maintenance =
      limits === undefined
        ? undefined
        : new Maintenance({ runner, stream, service, namespaces, limits, clock, onError })
    return { runner, stream, reader, maintenance }
  }

  async #publish({ name, payload, id }: SourceEvent): Promise<InvalidationResult> {
    this.#assertOpen()
    const read = this.#registry.read(name, payload)
    if (id !== undefined && (await this.#isKnown(id))) {
      this.#tallies.count('duplicate')
      return { status: 'done' }
    }
    const isApplied = await this.#invalidate(read.targets)
    this.#tallies.count('published')
    if (this.#shared !== undefined) {
      const record = {
        event: name,
        payload: JSON.stringify(read.payload),
        appliedBy: isApplied ? this.#group : '',
      }
      try {
        await this.#append(record, id)
      } catch (error) {
        this.#backlog.add(record, id, error)
        this.#report(error)
        return { status: 'pending' }
      }
    }
    return { status: isApplied ? 'done' : 'pending' }
  }

  async #append(
    record: Parameters<EventStream['append']>[0],
    id: string | undefined,
  ): Promise<void> {
    const isNew = await this.#shared?.stream.append(record, id)
    if (isNew === false) this.#tallies.count('duplicate')
  }

  async #isKnown(id: string): Promise<boolean> {
    try {
      return (await this.#shared?.stream.isKnown(id)) === true
    } catch (error) {
      // To apply an event twice does no harm.
      this.#report(error)
      return false
    }
  }

  async #apply(record: StreamRecord, nowMs: number): Promise<boolean> {
    this.#tallies.lag.observe(Math.max(0, nowMs - record.atMs) / 1_000)
    if (record.appliedBy === this.#group) return true
    if (!this.#registry.has(record.event)) {
      this.#tallies.count('ignored')
      return true
    }
    const isApplied = await this.#invalidate(this.#targetsOf(record))
    if (isApplied) this.#tallies.count('applied')
    return isApplied
  }

  #targetsOf({ event, payload }: StreamRecord): InvalidationTargets {
    try {
      return this.#registry.readText(event, payload).targets
    } catch (error) {
      this.#tallies.count('unreadable')
      this.#report(error)
      return this.#limits.unreadable === 'clear' ? { everything: true } : {}
    }
  }

  /** Whether every cache has it done. */
  async #invalidate(targets: InvalidationTargets): Promise<boolean> {
    const results = await Promise.all(
      this.#options.caches.map((cache) => cache.invalidate(targets)),
    )
    return results.every(({ status }) => status === 'done')
  }

  async #close(): Promise<void> {
    if (this.#shared === undefined) return
    const { runner, stream, reader, maintenance } = this.#shared
    await maintenance?.close()
    await reader.close()
    try {
      await this.#backlog.drain((record, id) => this.#append(record, id))
      await stream.leave(this.#limits.delivery === 'every-process')
    } catch (error) {
      // Redis is away. The maintenance of another process gives the place up.
      if (!(error instanceof RedisUnavailableError)) throw error
      this.#report(error)
    } finally {
      runner.close()
    }
  }

  #report(error: unknown): void {
    this.#tallies.count('error')
    this.#options.onError?.(error)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) {
      throw new ClosedError(`invalidation handler of '${this.#options.service}'`)
    }
  }
}

/** A handler of domain events. It connects by itself; see {@link InvalidationHandler.ready}. */
export function createInvalidationHandler(
  options: InvalidationHandlerOptions,
): InvalidationHandler {
  return new InvalidationHandler(options)
}
