import type { Clock } from '@dharma/core'

/** Waits for `step` to end in whatever way, `ms` at most, and says whether it did. */
export async function isWithin(clock: Clock, ms: number, step: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = clock.setTimeout(() => resolve(false), ms)
  step.then(
    () => resolve(true),
    () => resolve(true),
  )
  try {
    return await promise
  } finally {
    timer.cancel()
  }
}
