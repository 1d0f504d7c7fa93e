import type { Clock } from '@dharma/core'
import {
  MongoError,
  type ChangeStream,
  type ChangeStreamDocument,
  type ChangeStreamOptions,
  type Collection,
  type Db,
  type Document,
} from 'mongodb'
import type { ChangeTokenStore } from './change-tokens.ts'
import { MongoChangeGapError, MongoConnectionError, wrapMongoError } from './errors.ts'
import { backoffMs, checkRange } from './write-retry.ts'

export interface WatchOptions {
  /** Stages that choose and shape changes, such as `$match`; they must keep `_id`. @default none */
  readonly pipeline?: readonly Document[]
  /** Where the feed's place is kept. @default nowhere: it begins now, and after a lost connection goes on */
  readonly tokens?: ChangeTokenStore
  /** The feed's name among the tokens. @default the collection's name */
  readonly name?: string
  /** Whether updates carry the whole document as it is by then. @default false */
  readonly withDocument?: boolean
  /** Changes held in memory at most, 1 to 10,000; the server is asked for more when they are used up. @default 500 */
  readonly maxBuffered?: number
  /** How often the place is noted at most; changes since then come twice after a crash. At least 1. @default 1000 */
  readonly saveEveryMs?: number
  /**
   * Called when changes were missed, for the server keeps them for a time only; the feed goes
   * on from just before the call. Whoever caches must forget all. @default the feed ends with MongoChangeGapError
   */
  readonly onGap?: (gap: MongoChangeGapError) => void | Promise<void>
  /** Called when the connection was lost and is sought again. */
  readonly onReconnect?: (error: MongoConnectionError) => void
  /** Ends the feed; iteration then ends without an error. */
  readonly signal?: AbortSignal | undefined
}

/** Numbers of ChangeStreamHistoryLost, ChangeStreamFatalError and InvalidResumeToken. */
const GAPS: ReadonlySet<unknown> = new Set([286, 280, 260])

/**
 * Changes of a collection or database, in order, each at least once. The place is noted when the
 * next change is asked for: what was being worked on at a crash comes again. Nothing is read ahead
 * but one batch, so that a slow reader holds no more than `maxBuffered` changes.
 */
export class ChangeFeed<T extends Document = Document> implements AsyncDisposable {
  readonly #source: Collection | Db
  readonly #options: WatchOptions
  readonly #clock: Clock
  readonly #name: string
  readonly #ended = new AbortController()
  #stream: ChangeStream<Document, ChangeStreamDocument<T>> | undefined
  /** The first wait for a change, which opened the stream. */
  #pending: Promise<ChangeStreamDocument<T> | null> | undefined
  /** What is to be told of as soon as a new stream is open. */
  #gap: MongoChangeGapError | undefined
  #token: unknown
  #savedToken: unknown
  #savedAtMs = 0

  constructor(source: Collection | Db, name: string, options: WatchOptions, clock: Clock) {
    const { maxBuffered = 500, saveEveryMs = 1_000, signal } = options
    checkRange('maxBuffered', maxBuffered, 1, 10_000)
    checkRange('saveEveryMs', saveEveryMs, 1, Number.MAX_SAFE_INTEGER)
    this.#source = source
    this.#options = options
    this.#clock = clock
    this.#name = options.name ?? name
    if (signal?.aborted === true) this.#ended.abort()
    signal?.addEventListener('abort', () => void this.close(), { once: true })
  }

  /** The last change that was worked on, as a token of the server's; `undefined` before the first. */
  get token(): unknown {
    return this.#token
  }

  /** Begins at the stored place: every change after this call is seen. @throws MongoChangeGapError */
  async open(): Promise<this> {
    this.#token = await this.#options.tokens?.load(this.#name)
    this.#savedToken = this.#token
    await this.#attempt(async () => undefined)
    return this
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ChangeStreamDocument<T>, void, undefined> {
    try {
      while (!this.#ended.signal.aborted) {
        const change = await this.#attempt((stream) => this.#takePending() ?? stream.tryNext())
        if (change === undefined) return
        if (change === null) {
          // Nothing happened here, but elsewhere: the place moves on, else it would become too old.
          this.#token = this.#stream?.resumeToken ?? this.#token
        } else {
          yield change
          const { _id: token } = change
          this.#token = token
          if (change.operationType === 'invalidate') await this.#drop()
        }
        await this.#save(false)
      }
    } finally {
      await this.#save(true)
      await this.close()
    }
  }

  /** Ends the feed; the place that was reached stays noted. Calling it again does nothing. */
  async close(): Promise<void> {
    this.#ended.abort()
    await this.#drop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Does something with the stream, again on a new one where the connection was lost; `undefined` at the end. */
  async #attempt<R>(
    work: (stream: ChangeStream<Document, ChangeStreamDocument<T>>) => Promise<R>,
  ): Promise<R | undefined> {
    for (let attempt = 1; !this.#ended.signal.aborted; attempt++) {
      try {
        this.#stream ??= await this.#openStream()
        return await work(this.#stream)
      } catch (error) {
        await this.#drop()
        if (this.#ended.signal.aborted) return undefined
        await this.#recover(error)
      }
      // Only the end of the feed cuts it short, and ends the loop too.
      await this.#clock.sleep(backoffMs(attempt), this.#ended.signal).catch(() => undefined)
    }
    return undefined
  }

  async #openStream(): Promise<ChangeStream<Document, ChangeStreamDocument<T>>> {
    const { pipeline = [], maxBuffered = 500, withDocument = false } = this.#options
    const options: ChangeStreamOptions = {
      batchSize: maxBuffered,
      // The only one that the server takes here, whatever the manager's reads see.
      readConcern: { level: 'majority' },
      ...(withDocument ? { fullDocument: 'updateLookup' } : {}),
      // Unlike `resumeAfter` it goes on behind the change that ended a stream: a dropped collection.
      ...(this.#token === undefined ? {} : { startAfter: this.#token }),
    }
    const stream = this.#source.watch<Document, ChangeStreamDocument<T>>([...pipeline], options)
    // The stream is open when the server says where it is, or has a change at once.
    const opened = Promise.withResolvers<void>()
    stream.once('resumeTokenChanged', () => opened.resolve())
    const first = stream.tryNext()
    this.#pending = first
    // Its failure is met by whoever takes it.
    first.catch(() => undefined)
    try {
      await Promise.race([first, opened.promise])
      // Not before: a change in between would be in no feed. And before the new place is noted.
      if (this.#gap !== undefined) await this.#options.onGap?.(this.#gap)
      this.#gap = undefined
    } catch (error) {
      await stream.close()
      throw error
    }
    if (this.#token === undefined && stream.resumeToken !== null) {
      this.#token = stream.resumeToken
      await this.#save(true)
    }
    return stream
  }

  #takePending(): Promise<ChangeStreamDocument<T> | null> | undefined {
    const first = this.#pending
    this.#pending = undefined
    return first
  }

  async #recover(error: unknown): Promise<void> {
    if (error instanceof MongoError && GAPS.has(error.code)) {
      const gap = new MongoChangeGapError('changes were missed: the server has them no more', {
        cause: error,
      })
      if (this.#options.onGap === undefined) throw gap
      this.#token = undefined
      this.#gap = gap
      return
    }
    const wrapped = wrapMongoError(this.#name, error)
    const isResumable =
      error instanceof MongoError && error.hasErrorLabel('ResumableChangeStreamError')
    if (wrapped instanceof MongoConnectionError) this.#options.onReconnect?.(wrapped)
    else if (!isResumable) throw wrapped
  }

  async #save(isDue: boolean): Promise<void> {
    const { tokens, saveEveryMs = 1_000 } = this.#options
    if (tokens === undefined || this.#token === undefined) return
    if (this.#token === this.#savedToken) return
    const nowMs = this.#clock.monotonicMs()
    if (!isDue && nowMs - this.#savedAtMs < saveEveryMs) return
    const token = this.#token
    await tokens.save(this.#name, token)
    this.#savedToken = token
    this.#savedAtMs = nowMs
  }

  async #drop(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    this.#pending = undefined
    // Where the connection is lost, so is the stream.
    await stream?.close().catch(() => undefined)
  }
}
