import { TimeoutError } from '@dharma/core'
import type { ClientSession, MongoClient } from 'mongodb'
import { hasLabel, MongoCommitUnclearError } from './errors.ts'
import type { MongoTransactionOutcome } from './mongo-observer.ts'
import type { OperationRunner } from './operation-runner.ts'
import { backoffMs } from './write-retry.ts'

export interface MongoTransactionOptions {
  /** How long all attempts together may take. At least 1. @default the manager's operationTimeoutMs */
  readonly timeoutMs?: number
  /** Ends the call; a transaction under way is undone. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `fn` in a transaction on a snapshot, committed to a majority. Where the server says that the
 * transaction failed for the moment, it runs again from the start, and a commit that was not
 * answered is sent again, which is safe, until the deadline.
 */
export async function transact<R>(
  client: MongoClient,
  runner: OperationRunner,
  fn: (session: ClientSession, signal: AbortSignal) => Promise<R>,
  { timeoutMs = runner.timeoutMs, signal }: MongoTransactionOptions,
): Promise<R> {
  const { clock } = runner
  const endsAtMs = clock.monotonicMs() + timeoutMs
  const ending = new AbortController()
  const timer = clock.setTimeout(() => {
    ending.abort(new TimeoutError('the transaction', timeoutMs))
  }, timeoutMs)
  const until = signal === undefined ? ending.signal : AbortSignal.any([ending.signal, signal])
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptOnce(client, runner, fn, until)
      } catch (error) {
        const isAgain = hasLabel(error, 'TransientTransactionError')
        if (!isAgain || until.aborted) throw error
        const waitMs = backoffMs(attempt)
        if (clock.monotonicMs() + waitMs >= endsAtMs) throw error
        await clock.sleep(waitMs, until)
      }
    }
  } finally {
    timer.cancel()
  }
}

async function attemptOnce<R>(
  client: MongoClient,
  runner: OperationRunner,
  fn: (session: ClientSession, signal: AbortSignal) => Promise<R>,
  until: AbortSignal,
): Promise<R> {
  until.throwIfAborted()
  const session = client.startSession()
  let outcome: MongoTransactionOutcome = 'rolled back'
  try {
    session.startTransaction({
      readConcern: { level: 'snapshot' },
      writeConcern: { w: 'majority' },
      readPreference: 'primary',
    })
    const result = await orAborted(fn(session, until), until)
    until.throwIfAborted()
    outcome = 'unclear'
    await commit(session, runner, until).catch((error: unknown) => {
      if (hasLabel(error, 'TransientTransactionError')) outcome = 'rolled back'
      throw error
    })
    outcome = 'committed'
    return result
  } finally {
    // Undoes what is not committed. Not awaited past the deadline: the server may hang.
    await orAborted(session.endSession(), until).catch(() => undefined)
    await runner.observers.transactionEnded(session, outcome)
  }
}

async function commit(
  session: ClientSession,
  runner: OperationRunner,
  until: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await orAborted(session.commitTransaction(), until)
      return
    } catch (error) {
      if (until.aborted) {
        throw new MongoCommitUnclearError('the commit was not answered in time', { cause: error })
      }
      // A transient failure says that nothing was done: all runs again.
      if (hasLabel(error, 'TransientTransactionError')) throw error
      if (!hasLabel(error, 'UnknownTransactionCommitResult')) throw error
    }
    await runner.clock.sleep(backoffMs(attempt), until).catch((cause: unknown) => {
      throw new MongoCommitUnclearError('the commit was not answered in time', { cause })
    })
  }
}

/** The promise, or the signal's reason as soon as it aborts. */
async function orAborted<R>(work: Promise<R>, signal: AbortSignal): Promise<R> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Whatever comes of the work later is of no use to anyone.
    work.catch(() => undefined)
  }
}
