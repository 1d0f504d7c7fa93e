import { createCache, type Cache, type CacheOptions } from '@dharma/cache'
import { onTestFinished } from 'vitest'

/** Caches that see each other only through Redis, as processes do; closed when the test ends. */
export async function openCaches(
  count: number,
  options: CacheOptions & { readonly redis: NonNullable<CacheOptions['redis']> },
): Promise<Cache[]> {
  const caches = Array.from({ length: count }, () =>
    createCache({ ...options, defaults: { jitterRatio: 0, ...options.defaults } }),
  )
  onTestFinished(async () => {
    await Promise.all(caches.map((cache) => cache.close()))
  })
  await Promise.all(caches.map((cache) => cache.ready()))
  return caches
}

/** Resolves when the condition holds; looks again at each turn of the event loop. */
export async function eventually(holds: () => unknown, withinMs = 5_000): Promise<void> {
  const untilMs = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`did not hold within ${withinMs} ms`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A source of truth that counts how often it was asked; its answers take `delayMs`. */
export function sourceOf<Value>(
  value: Value,
  delayMs = 0,
): { value: Value; calls: number; load: () => Promise<Value> } {
  const source = {
    value,
    calls: 0,
    async load(): Promise<Value> {
      source.calls++
      const read = source.value
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      return read
    },
  }
  return source
}
