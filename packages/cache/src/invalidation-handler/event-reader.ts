import type { Clock, Timer } from '@dharma/core'
import type { RedisLink } from '../redis/redis-link.ts'
import type { EventStream, StreamRead, StreamRecord } from './event-stream.ts'

export interface EventReaderOptions {
  readonly stream: EventStream
  /** A connection for waiting; it is closed with the reader. */
  readonly link: RedisLink
  readonly clock: Clock
  readonly blockMs: number
  /** After how long what another process took is done again. */
  readonly claimAfterMs: number
  /** Whether everything was applied; if not, it comes again. */
  readonly apply: (record: StreamRecord, nowMs: number) => Promise<boolean>
  /** Events were missed. Whether the caches were cleared. */
  readonly onGap: () => Promise<boolean>
  /** Redis has answered; called once a round. */
  readonly onRound: () => Promise<void>
  readonly onClaimed: (count: number) => void
  readonly onError: (error: unknown) => void
}

const RETRY_MS = 50

/** Applies events as they come, and those that this process or another has left unfinished. */
export class EventReader {
  readonly #options: EventReaderOptions
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  readonly #first = Promise.withResolvers<void>()
  #silence: Timer | undefined
  #claimAtMs = 0

  constructor(options: EventReaderOptions) {
    this.#options = options
    this.#ended = this.#run()
  }

  /** Resolves after the first round that reached Redis. */
  get started(): Promise<void> {
    return this.#first.promise
  }

  /** Ends after the round under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#silence?.cancel()
    this.#options.link.close()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    const { clock, onError } = this.#options
    while (!signal.aborted) {
      try {
        await this.#round(signal)
      } catch (error) {
        if (signal.aborted) return
        onError(error)
        // It rejects when the reader is closed, and the loop ends with it.
        await clock.sleep(RETRY_MS, signal).catch(() => undefined)
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { stream, clock, claimAfterMs } = this.#options
    if (!stream.isUsable) {
      await clock.sleep(RETRY_MS, signal)
      return
    }
    const read = await stream.take()
    await this.#options.onRound()
    if (clock.monotonicMs() >= this.#claimAtMs) {
      this.#claimAtMs = clock.monotonicMs() + claimAfterMs / 2
      const claimed = await stream.claim(claimAfterMs)
      this.#options.onClaimed(claimed.length)
      await this.#applyAll(claimed, read.nowMs)
    }
    if (read.gap !== undefined && (await this.#options.onGap())) await stream.closeGap(read.gap)
    await this.#applyAll(read.records, read.nowMs)
    this.#first.resolve()
    if (read.records.length === 0 && !signal.aborted) await this.#wait(read)
  }

  async #applyAll(records: readonly StreamRecord[], nowMs: number): Promise<void> {
    const { apply, stream } = this.#options
    const done = await Promise.all(records.map((record) => apply(record, nowMs)))
    await stream.acknowledge(records.filter((_, index) => done[index]).map(({ id }) => id))
  }

  /** Until there is a record after the last. */
  async #wait({ lastId }: StreamRead): Promise<void> {
    const { link, stream, clock, blockMs } = this.#options
    if (!link.isReady) {
      await clock.sleep(RETRY_MS, this.#closing.signal)
      return
    }
    // A connection that is silent for longer than it was asked to wait is dead, whatever TCP thinks.
    this.#silence = clock.setTimeout(() => link.reset(), blockMs * 2, { keepsAlive: false })
    await link.client
      .xread('COUNT', 1, 'BLOCK', blockMs, 'STREAMS', stream.key, lastId)
      .finally(() => this.#silence?.cancel())
  }
}
