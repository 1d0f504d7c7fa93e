import { TimeoutError } from '@dharma/core'
import type { DeadlineQueue, Expiring } from './deadline-queue.ts'

/** How long a call may take and what its late result is worth. */
export interface BoundedCallOptions<R> {
  /** In words, for the {@link TimeoutError}. */
  readonly operation: string
  readonly timeoutMs: number
  readonly nowMs: number
  /** Gives the call up: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Called before the promise rejects with a timeout. */
  readonly onTimeout?: (error: TimeoutError) => void
  /** Called with a result that comes after the call was given up. */
  readonly onLate?: (result: R) => void
}

/** Runs `call`, which may throw, hang or ignore its signal; the promise always settles in time. */
export function callWithin<R>(
  deadlines: DeadlineQueue,
  options: BoundedCallOptions<R>,
  call: () => R | PromiseLike<R>,
): Promise<R> {
  const { operation, timeoutMs, nowMs, signal, onTimeout, onLate } = options
  return new Promise((resolve, reject) => {
    const giveUp = (reason: unknown): void => {
      if (!end()) return
      reject(reason)
    }
    const onAbort = (): void => giveUp(signal?.reason)
    const bound: Expiring & { isSettled: boolean } = {
      deadlineMs: nowMs + timeoutMs,
      isSettled: false,
      expire() {
        const error = new TimeoutError(operation, timeoutMs)
        bound.isSettled = true
        signal?.removeEventListener('abort', onAbort)
        onTimeout?.(error)
        reject(error)
      },
    }
    const end = (): boolean => {
      if (bound.isSettled) return false
      bound.isSettled = true
      deadlines.noteSettled(bound)
      signal?.removeEventListener('abort', onAbort)
      return true
    }
    deadlines.add(bound, nowMs)
    signal?.addEventListener('abort', onAbort)
    void settle()

    async function settle(): Promise<void> {
      try {
        const result = await call()
        if (end()) resolve(result)
        else onLate?.(result)
      } catch (error) {
        giveUp(error)
      }
    }
  })
}
