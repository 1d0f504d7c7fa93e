import { setImmediate } from 'node:timers/promises'

/** A mapping function whose calls end when the test says so. */
export function gates(): {
  fn: (item: number, context: { signal: AbortSignal }) => Promise<number>
  begun: number[]
  signals: AbortSignal[]
  open: (item: number) => Promise<void>
  fail: (item: number, error: Error) => Promise<void>
} {
  const begun: number[] = []
  const signals: AbortSignal[] = []
  const calls = new Map<number, PromiseWithResolvers<number>>()
  return {
    begun,
    signals,
    fn: (item, { signal }) => {
      begun.push(item)
      signals.push(signal)
      const call = Promise.withResolvers<number>()
      calls.set(item, call)
      return call.promise
    },
    open: async (item) => {
      calls.get(item)?.resolve(item * 2)
      await setImmediate()
    },
    fail: async (item, error) => {
      calls.get(item)?.reject(error)
      await setImmediate()
    },
  }
}
