import { PostgresConnectionError, PostgresQueryError } from './errors.ts'
import { isReadOnlyRefusal, NothingDoneError } from './outage.ts'
import type { PostgresSettings } from './postgres-options.ts'
import type { QueryObservers, TransactionOutcome } from './query-observer.ts'
import type { SessionLender } from './row-stream.ts'
import type { QueryResult, Session } from './session.ts'
import { beginStatement, Transaction, type TransactionOptions } from './transaction.ts'

/** The server asks for the transaction to be run again: serialization failure, deadlock. */
const RETRY_STATES: ReadonlySet<string> = new Set(['40001', '40P01'])

/**
 * Runs `fn` in a transaction, again from the start where the server says that nothing was done. An
 * unclear COMMIT is never repeated.
 */
export async function transact<R>(
  lender: SessionLender,
  settings: PostgresSettings,
  observers: QueryObservers,
  fn: (transaction: Transaction) => Promise<R>,
  options: TransactionOptions,
): Promise<R> {
  const { maxAttempts = 3, signal, replica = false, readOnly = false } = options
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
    throw new RangeError(`maxAttempts must be a whole number of at least 1, got ${maxAttempts}`)
  }
  if (replica && !readOnly) {
    throw new TypeError('replica: true needs readOnly: true, since a replica takes no writes')
  }
  const { clock, random, queryTimeoutMs } = settings
  const timeoutMs = options.timeoutMs ?? queryTimeoutMs
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= maxAttempts
    const run: Run = { observers, transaction: undefined, outcome: 'rolled back' }
    try {
      return await lender.use({ timeoutMs, signal, replica }, (session) => {
        return transactOnce(session, run, fn, { ...options, timeoutMs, isLast })
      })
    } catch (error) {
      const isAsked = error instanceof PostgresQueryError && RETRY_STATES.has(error.sqlState)
      if (!isAsked || isLast) throw error
    } finally {
      // Not before the session is free again, for an observer may need one itself.
      if (run.transaction !== undefined) {
        await observers.transactionEnded(run.transaction, run.outcome)
      }
    }
    // Full jitter up to 10 ms, 20 ms, … 1 s. Source: Brooker, AWS 2015.
    await clock.sleep(random() * Math.min(1_000, 5 * 2 ** attempt), signal)
  }
}

/** One run of the function, for those who observe it. */
interface Run {
  readonly observers: QueryObservers
  transaction: Transaction | undefined
  outcome: TransactionOutcome
}

async function transactOnce<R>(
  session: Session,
  run: Run,
  fn: (transaction: Transaction) => Promise<R>,
  options: TransactionOptions & { readonly timeoutMs: number; readonly isLast: boolean },
): Promise<R> {
  const { timeoutMs, signal, readOnly = false, isLast } = options
  const control = (text: string): Promise<QueryResult<unknown>> => {
    return session.query({ text, values: [] }, timeoutMs)
  }
  await control(beginStatement(options)).catch((error: unknown) => {
    throw error instanceof PostgresConnectionError ? new NothingDoneError(error) : error
  })
  const transaction = new Transaction(session, timeoutMs, signal, run.observers)
  run.transaction = transaction
  let result: R
  try {
    result = await fn(transaction)
    signal?.throwIfAborted()
  } catch (error) {
    transaction.end()
    await session.settling
    // A session that cannot roll back is destroyed by its owner, which rolls back too.
    if (!session.isBroken) await control('rollback').catch(() => session.giveUp())
    // The server is a replica by now: all was undone, and the primary is another one.
    if (!readOnly && !isLast && isReadOnlyRefusal(error)) throw new NothingDoneError(error)
    throw error
  }
  transaction.end()
  run.outcome = 'unclear'
  const { command } = await control('commit').catch((error: unknown) => {
    if (error instanceof PostgresQueryError) run.outcome = 'rolled back'
    throw error
  })
  run.outcome = command === 'ROLLBACK' ? 'rolled back' : 'committed'
  if (command === 'ROLLBACK') {
    const message =
      'the transaction was undone: a statement in it had failed, and its error was not passed on'
    throw new PostgresQueryError(message, '25P02', {})
  }
  return result
}
