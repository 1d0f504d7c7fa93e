/**
 * A process that uses two caches in every way, with ever new keys, while its connections are killed,
 * and tells its heap after each collection: `heap-process.ts URL NAMESPACE MILLISECONDS`.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createCache } from '@dharma/cache'
import { Redis } from 'ioredis'

const [redis = '', namespace = '', durationMs = '0'] = process.argv.slice(2)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const SAMPLES = 30
const AT_ONCE = 16
const options = { namespace, redis, memory: { maxEntries: 1_000 }, defaults: { ttlMs: 2_000 } }
const caches = [createCache(options), createCache(options)] as const
await Promise.all(caches.map((cache) => cache.ready()))
const admin = new Redis(redis)

let next = 0
async function useOnce(): Promise<void> {
  const index = next++
  const [one, other] = index % 2 === 0 ? caches : ([caches[1], caches[0]] as const)
  const key = `key:${index}`
  const tags = [`tag:${index % 500}`]
  await one.getOrLoad(
    key,
    ({ setTags }) => {
      setTags([`late:${index % 500}`])
      return { index }
    },
    { tags },
  )
  await other.get(key)
  await one.set(`set:${index}`, index, { tags })
  await other.getMany([key, `set:${index}`, 'never'])
  if (index % 5 === 0) await one.delete(key)
  if (index % 11 === 0) await one.invalidateTags(tags)
  if (index % 101 === 0) await one.invalidatePattern(`key:${index}*`)
  if (index % 997 === 0) await one.clear()
  await one
    .getOrLoad(`failing:${index}`, () => Promise.reject(new Error('no')))
    .catch(() => undefined)
}

const endMs = performance.now() + Number(durationMs)
const heaps: number[] = []
for (let sample = 1; sample <= SAMPLES; sample++) {
  const untilMs = endMs - Number(durationMs) * (1 - sample / SAMPLES)
  const work = async (): Promise<void> => {
    while (performance.now() < untilMs) await useOnce()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  collect()
  heaps.push(process.memoryUsage().heapUsed)
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}
const stats = caches.map((cache) => cache.stats())
await Promise.all(caches.map((cache) => cache.close()))
admin.disconnect()
process.send?.({ heaps, uses: next, stats })
process.disconnect()
