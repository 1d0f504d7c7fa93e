import type { Clock, Timer } from '@dharma/core'
import type { RedisRunner } from '../redis/redis-runner.ts'
import type { EventStream } from './event-stream.ts'
import type { MaintenanceLimits } from './handler-options.ts'
import { NamespaceSampler, type SampleReport } from './namespace-sampler.ts'

/** What one run of the maintenance did. */
export interface MaintenanceReport extends SampleReport {
  /** Events removed that every service is done with. */
  readonly trimmedEvents: number
  /** Places in the stream given up for processes that are gone. */
  readonly goneProcesses: number
}

export interface MaintenanceParts {
  readonly runner: RedisRunner
  readonly stream: EventStream
  readonly service: string
  readonly namespaces: readonly string[]
  readonly limits: MaintenanceLimits
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}

/** Keeps the stream and the namespaces clean, in one process of the service at a time. */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #sampler: NamespaceSampler
  readonly #timer: Timer
  #running: Promise<void> = Promise.resolve()
  #isClosed = false
  #last: MaintenanceReport | undefined

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
    const { sampleSize, unusedTagMs, everyMs } = parts.limits
    const { runner, namespaces, clock } = parts
    this.#sampler = new NamespaceSampler({ runner, namespaces, sampleSize, unusedTagMs })
    this.#timer = clock.setInterval(() => this.#tick(), everyMs, { keepsAlive: false })
  }

  /** What the last run of this process found. */
  get last(): MaintenanceReport | undefined {
    return this.#last
  }

  /** Runs now, whoever's turn it is. @throws RedisUnavailableError */
  async run(): Promise<MaintenanceReport> {
    const { stream, limits } = this.#parts
    const { trimmed, consumers, groups } = await stream.tidy(limits.goneAfterMs)
    const sample = await this.#sampler.sample()
    this.#last = { ...sample, trimmedEvents: trimmed, goneProcesses: consumers + groups }
    return this.#last
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer.cancel()
    await this.#running
  }

  #tick(): void {
    this.#running = this.#running.then(() => this.#runInTurn())
  }

  async #runInTurn(): Promise<void> {
    const { runner, stream, service, limits } = this.#parts
    if (this.#isClosed || !runner.isUsable) return
    try {
      const key = `${stream.key}:maintenance:${service}`
      // A little less than a turn, so that the next tick of whoever has it finds it free.
      const turnMs = Math.max(1, Math.floor(limits.everyMs * 0.9))
      const turn = await runner.run(() => runner.link.client.set(key, '1', 'PX', turnMs, 'NX'))
      if (turn === 'OK') await this.run()
    } catch (error) {
      this.#parts.onError(error)
    }
  }
}
