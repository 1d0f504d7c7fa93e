import { toError } from '@dharma/core'
import type { Redis } from 'ioredis'

/** What a queue's marker says: that jobs are ready, or when the next one will be. */
export interface Marker {
  readonly queue: string
  /** Milliseconds since the epoch; 0 for now. */
  readonly readyAtMs: number
}

export interface MarkerWatchOptions {
  readonly redis: Redis
  /** The key of a queue's marker. */
  readonly keyOf: (queue: string) => string
  readonly onError: (error: Error) => void
}

interface Waiter {
  readonly queues: readonly string[]
  readonly resolve: (marker: Marker | undefined) => void
}

/** One wait in Redis; then the connection is known to be alive. */
const BLOCK_SECONDS = 2
/** How much longer than that an answer may take before the connection is opened anew. */
const GRACE_MS = 3_000
const ERROR_PAUSE_MS = 250

/**
 * Waits for the markers of any number of queues on one connection, where BullMQ has one for each.
 * A marker goes to one of those who wait for its queue, and back to Redis if nobody does any more.
 */
export class MarkerWatch {
  readonly #options: MarkerWatchOptions
  readonly #waiters = new Set<Waiter>()
  #blocking: Redis | undefined
  #clientId: number | undefined
  /** Queues of the wait under way. */
  #watched: ReadonlySet<string> = new Set()
  #isLooping = false
  #isClosed = false

  constructor(options: MarkerWatchOptions) {
    this.#options = options
  }

  /** The next marker of one of these queues; `undefined` after `timeoutMs`, or when the signal aborts. */
  async wait(
    queues: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Marker | undefined> {
    if (signal.aborted || this.#isClosed) return undefined
    const { promise, resolve } = Promise.withResolvers<Marker | undefined>()
    const waiter: Waiter = { queues, resolve }
    const end = (): void => resolve(undefined)
    const timer = setTimeout(end, timeoutMs)
    signal.addEventListener('abort', end, { once: true })
    this.#waiters.add(waiter)
    if (!this.#isLooping) void this.#loop()
    else if (queues.some((queue) => !this.#watched.has(queue))) this.#interrupt()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      this.#waiters.delete(waiter)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { resolve } of this.#waiters) resolve(undefined)
    this.#blocking?.disconnect()
  }

  async #loop(): Promise<void> {
    this.#isLooping = true
    while (this.#waiters.size > 0 && !this.#isClosed) {
      try {
        await this.#waitOnce()
      } catch (error) {
        if (this.#isClosed) break
        this.#options.onError(toError(error))
        await new Promise((resolve) => setTimeout(resolve, ERROR_PAUSE_MS))
      }
    }
    this.#isLooping = false
  }

  async #waitOnce(): Promise<void> {
    const { redis, keyOf } = this.#options
    const queues = [...new Set([...this.#waiters].flatMap((waiter) => waiter.queues))]
    const byKey = new Map(queues.map((queue) => [keyOf(queue), queue]))
    this.#watched = new Set(queues)
    const reply = await this.#pop([...byKey.keys()])
    if (reply === null) return
    const [key, member, score] = reply
    const queue = byKey.get(key) ?? ''
    const waiter = [...this.#waiters].find((each) => each.queues.includes(queue))
    if (waiter === undefined) {
      await redis.zadd(key, score, member)
      return
    }
    this.#waiters.delete(waiter)
    waiter.resolve({ queue, readyAtMs: Number(score) })
  }

  /**
   * A connection that reconnects in the middle of a blocking command may never answer it, so it is
   * replaced when an answer is overdue.
   */
  async #pop(
    keys: readonly string[],
  ): Promise<[key: string, member: string, score: string] | null> {
    const blocking = this.#open()
    const { promise: overdue, resolve } = Promise.withResolvers<'overdue'>()
    const timer = setTimeout(() => resolve('overdue'), BLOCK_SECONDS * 1000 + GRACE_MS)
    try {
      const popped = blocking.bzpopmin(...keys, BLOCK_SECONDS)
      const reply = await Promise.race([popped, overdue])
      if (reply !== 'overdue') return reply
      // Its rejection, when the connection is closed, has nobody to tell.
      popped.catch(() => {})
      blocking.disconnect()
      this.#blocking = undefined
      return null
    } finally {
      clearTimeout(timer)
    }
  }

  #open(): Redis {
    if (this.#blocking !== undefined) return this.#blocking
    const blocking = this.#options.redis.duplicate({ maxRetriesPerRequest: null })
    blocking.on('error', this.#options.onError)
    blocking.on('ready', () => {
      this.#clientId = undefined
      blocking.client('ID').then(
        (id) => (this.#clientId = id),
        // Without it a new queue waits for the end of a wait; a connection that ended is not asked again.
        (error: unknown) => this.#blocking === blocking && this.#fail(error),
      )
    })
    this.#blocking = blocking
    return blocking
  }

  /** Ends the wait under way, so that the next includes queues that were added. */
  #interrupt(): void {
    if (this.#clientId === undefined) return
    this.#options.redis.client('UNBLOCK', this.#clientId).catch((error: unknown) => {
      this.#fail(error)
    })
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#options.onError(toError(error))
  }
}
