import type { Readable } from 'node:stream'
import { toError } from '@dharma/core'
import { to as copyTo } from 'pg-copy-streams'
import { wrapPostgresError } from '../errors.ts'
import { cancelCopy } from './cancel-copy.ts'
import type { CopyLine } from './copy-line.ts'
import { ServerWatch } from './server-watch.ts'

/** Memory in which the stream gathers what the server sends while the reader is busy. */
const BUFFER_BYTES = 256 * 1024
/** The part of the driver's protocol that tells when the server is ready for the next statement. */
type CopyStream = Readable & { rowCount: number; handleReadyForQuery: () => void }

/** One `COPY … TO STDOUT` under way: its chunks one after the other, and its end. */
export class CopyOutRun {
  readonly #line: CopyLine
  readonly #watch: ServerWatch
  readonly #stream: CopyStream
  readonly #ready: Promise<void>
  #isReady = false
  #wake: (() => void) | undefined
  bytes = 0

  /** @throws RangeError for a `timeoutMs` that is not above 0, and the signal's reason if it has aborted */
  constructor(line: CopyLine, text: string) {
    this.#line = line
    this.#watch = new ServerWatch(line)
    this.#stream = line.client.query(
      copyTo(text, { highWaterMark: BUFFER_BYTES }),
    ) as unknown as CopyStream
    const ready = Promise.withResolvers<void>()
    this.#ready = ready.promise
    this.#stream.handleReadyForQuery = () => {
      this.#isReady = true
      ready.resolve()
    }
    // The driver reports any end but the good one here, a lost connection among them.
    this.#stream.on('error', (error) => {
      this.#isReady = true
      this.#watch.fail(wrapPostgresError(error))
      ready.resolve()
    })
    for (const event of ['readable', 'end']) this.#stream.on(event, () => this.#wake?.())
  }

  /** Rows that the server sent, known at the end. */
  get rowCount(): number {
    return this.#stream.rowCount
  }

  /**
   * The next bytes, or `undefined` at the end. Nothing is read from the server before it is asked for,
   * but for what fits the buffer. @throws PostgresQueryError, PostgresConnectionError,
   * PostgresTimeoutError, and the signal's reason
   */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      this.#watch.throwIfFailed()
      const chunk = this.#stream.read() as Buffer | null
      if (chunk !== null) {
        this.bytes += chunk.length
        return chunk
      }
      if (this.#stream.readableEnded) {
        await this.#watch.forServer(this.#ready)
        return undefined
      }
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await this.#watch.forServer(more)
    }
  }

  /** Ends the COPY when the chunks' reader has ended before it. */
  endWith(reader: Promise<void>): void {
    reader.then(
      () => this.#watch.fail(new TypeError('the stream ended before all was written to it')),
      (error: unknown) => this.#watch.fail(toError(error)),
    )
  }

  /** Waits for the reader of the chunks, which may take as long as it likes. */
  forReader<R>(step: PromiseLike<R>): Promise<R> {
    return this.#watch.forCaller(step)
  }

  /**
   * Lets the server end, after which the connection is ready for its next statement, or given up. In
   * a transaction that is to live on, what is left is read and dropped.
   */
  async close({ isFailed }: { readonly isFailed: boolean }): Promise<void> {
    try {
      if (!this.#isReady && this.#line.isInTransaction && !isFailed) await this.#drain()
    } catch {
      // Said by the next statement of the transaction, which finds it failed or its connection lost.
    }
    this.#watch[Symbol.dispose]()
    if (this.#isReady) return
    this.#stream.resume()
    await cancelCopy(this.#line, this.#ready, { politeMs: 0 })
  }

  async #drain(): Promise<void> {
    for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next());
  }
}
