/**
 * What crosses between a pool and its workers. Messages are arrays that begin with one of these
 * numbers: they clone faster than objects. Nothing here imports another package, so that a worker
 * starts with this folder alone.
 *
 * A task is known by a ticket, which it gets anew each time that it is sent, and by its slot.
 */

/** Pool to worker: `[TASKS, new functions or 0, [ticket, slot, function, arguments, …]]`. */
export const TASKS = 0
/** Pool to worker: `[ABORT, ticket, reason]`. */
export const ABORT = 1
/** In place of a ticket: only an answer is wanted. */
export const NO_TASK = 0
/** Pool to worker: `[STOP]`, sent to a worker that has nothing to do. */
export const STOP = 2

/** Worker to pool: `[READY]`. The module is loaded. */
export const READY = 10
/** Worker to pool: `[START_FAILED, thrown]`. The module could not be loaded. */
export const START_FAILED = 11
/** Worker to pool: `[STARTED, ticket, slot]`, where no memory is shared. */
export const STARTED = 12
/** Worker to pool: `[VALUE, ticket, slot, milliseconds, value]`. */
export const VALUE = 13
/** Worker to pool: `[FAILURE, ticket, slot, milliseconds, thrown]`. */
export const FAILURE = 14
/** Worker to pool: `[UNSENDABLE, ticket, slot, milliseconds, reason]`. The result cannot be cloned. */
export const UNSENDABLE = 15
/** Worker to pool: `[LATE, thrown]`. Something was thrown that no running task answers for. */
export const LATE = 16
/** Worker to pool: `[ABORT_SEEN, ticket]`. The event loop still turns. */
export const ABORT_SEEN = 17
/** Worker to pool: `[HEAP, bytes]`. */
export const HEAP = 18
/** Both ways: `[REVOKED, ticket, slot]`, a request, and the answer that the task will not be started. */
export const REVOKED = 19

/** Worker to pool, threads only: results lie in shared memory. */
export const BELL = 0

/** A function that a worker has not seen: `[index, 'name', name]` or `[index, 'source', text]`. */
export type FunctionDefinition = readonly [
  index: number,
  kind: 'name' | 'source',
  nameOrSource: string,
]

/** A message of either direction. */
export type PoolMessage = readonly [type: number, ...rest: readonly unknown[]]

/** Tasks in one message at most. */
export const BATCH_LIMIT = 128
/** Messages of several tasks that a worker may have unanswered. */
export const OUTSTANDING_LIMIT = 2

/** Tasks that one worker may hold at once, whatever its state. */
export function slotLimit(concurrency: number): number {
  return BATCH_LIMIT * OUTSTANDING_LIMIT + concurrency
}

/** The pipes of a child process: tasks in, replies out, and the one of its watchdog. */
export const TASKS_FD = 3
export const REPLIES_FD = 4
export const WATCHDOG_FD = 5

/** What a worker is told at its start. */
export interface WorkerSetup {
  /** The module whose exports are the tasks; `undefined` for a pool of self-contained functions. */
  readonly moduleUrl: string | undefined
  readonly concurrency: number
  readonly workerId: number
}
