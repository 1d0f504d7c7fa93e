import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { toError } from '@dharma/core'
import type { CopyHost } from './copy-line.ts'
import { readColumns, type CopyOutOptions, type CopySource } from './copy-out.ts'
import { CopyOutRun } from './copy-out-run.ts'

export interface CopyOutToOptions extends Pick<
  CopyOutOptions,
  'columns' | 'timeoutMs' | 'signal' | 'replica'
> {
  /** What the server writes. @default 'text' */
  readonly format?: 'text' | 'csv' | 'binary'
  /** Names of the columns as the first line, with `text` (PostgreSQL 15) and `csv`. @default false */
  readonly header?: boolean
  /** Whether the stream is ended after the last byte. @default true */
  readonly end?: boolean
  /** Called after each chunk written. */
  readonly onProgress?: (progress: { readonly bytes: number }) => void
}

export interface CopyOutResult {
  readonly rows: number
  readonly bytes: number
}

/**
 * Writes what `COPY … TO STDOUT` gives into a stream, as it comes, no faster than the stream takes it.
 * A failure destroys the stream.
 */
export async function copyOutTo(
  host: CopyHost,
  source: CopySource,
  target: Writable,
  options: CopyOutToOptions,
): Promise<CopyOutResult> {
  const { format = 'text', header = false, end = true, onProgress, signal } = options
  const written = finished(target, { readable: false })
  written.catch(ignoreUntilAwaited)
  try {
    const result = await host.lend(async (line) => {
      const { from } = await readColumns(line, source, options)
      const flags = `format ${format}${header ? ', header' : ''}`
      const run = new CopyOutRun(line, `copy ${from} to stdout (${flags})`)
      run.endWith(written)
      let isFailed = true
      try {
        for (let chunk = await run.next(); chunk !== undefined; chunk = await run.next()) {
          if (!target.write(chunk)) await run.forReader(drained(target))
          onProgress?.({ bytes: run.bytes })
        }
        isFailed = false
      } finally {
        line.settleAfter(() => run.close({ isFailed }))
      }
      return { rows: run.rowCount, bytes: run.bytes }
    })
    if (end) {
      target.end()
      await written
    }
    signal?.throwIfAborted()
    return result
  } catch (error) {
    target.destroy(toError(error))
    throw error
  }
}

function drained(target: Writable): Promise<void> {
  return new Promise((resolve) => target.once('drain', () => resolve()))
}

/** The rejection is taken up by the wait that follows. */
function ignoreUntilAwaited(): void {}
