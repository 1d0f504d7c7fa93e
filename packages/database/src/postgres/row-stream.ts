import Cursor from 'pg-cursor'
import { wrapPostgresError } from './errors.ts'
import type { QueryOptions, Session } from './session.ts'
import type { SqlStatement } from './sql.ts'

/** What lends a session. */
export interface SessionLender {
  use<R>(options: QueryOptions, work: (session: Session) => Promise<R>): Promise<R>
}

export interface StreamOptions extends QueryOptions {
  /** Rows fetched at once, which bounds the memory. At least 1. @default 500 */
  readonly batchRows?: number
}

/**
 * The rows of one statement, read through a portal in batches as they are asked for. Each batch has
 * `timeoutMs`; the session is held until the loop over the rows ends in whatever way.
 */
export async function* streamRows<Row>(
  sessions: SessionLender,
  { text, values }: SqlStatement,
  { batchRows = 500, timeoutMs, signal, replica }: StreamOptions & { readonly timeoutMs: number },
): AsyncGenerator<Row, void, undefined> {
  if (!Number.isSafeInteger(batchRows) || batchRows < 1) {
    throw new RangeError(`batchRows must be a whole number of at least 1, got ${batchRows}`)
  }
  // The session is lent to this generator, which lives on after `use` would have taken it back.
  const opened = Promise.withResolvers<BatchReader<Row>>()
  const released = Promise.withResolvers<void>()
  const using = sessions.use({ timeoutMs, signal, replica }, async (session) => {
    const cursor = await session.run('stream', timeoutMs, signal, async (client) => {
      return client.query(new Cursor<Row>(text, [...values]))
    })
    opened.resolve({
      async read() {
        try {
          return await session.run('stream', timeoutMs, signal, () => cursor.read(batchRows))
        } catch (error) {
          // Where a portal stands after a failure is not worth finding out.
          session.giveUp()
          throw wrapUnlessAborted(error, signal)
        }
      },
      async close() {
        if (session.isBroken) return
        await session
          .run('stream', timeoutMs, undefined, () => cursor.close())
          .catch(() => session.giveUp())
      },
    })
    await released.promise
  })
  using.catch(opened.reject)
  const reader = await opened.promise
  try {
    for (let rows = await reader.read(); rows.length > 0; rows = await reader.read()) yield* rows
  } finally {
    await reader.close()
    released.resolve()
    await using
  }
}

interface BatchReader<Row> {
  read(): Promise<Row[]>
  close(): Promise<void>
}

function wrapUnlessAborted(error: unknown, signal: AbortSignal | undefined): unknown {
  return signal?.aborted === true && error === signal.reason ? error : wrapPostgresError(error)
}
