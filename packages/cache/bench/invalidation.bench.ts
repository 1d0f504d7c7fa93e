import { createCache, type Cache } from '@dharma/cache'
import { defineBench, type Bench, type BenchContext, type Figures } from '@dharma/testkit/bench'
import { Redis } from 'ioredis'

/** Medians and worst of some milliseconds, in microseconds. */
function figures(samples: number[]): Figures {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    (sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 1_000
  return { nsPerOp: at(0.5) * 1_000, p50Micros: at(0.5), p99Micros: at(0.99) }
}

async function tagged({ urls, once }: BenchContext, entries: number): Promise<Cache> {
  const cache = createCache({
    namespace: `inv-${process.pid}`,
    redis: urls.redis,
    memory: false,
    timeoutMs: 10_000,
  })
  await cache.ready()
  const keys = Array.from(
    { length: once ? 10 : entries },
    (_, index) => [`k${index}`, index] as const,
  )
  for (let from = 0; from < keys.length; from += 500) {
    await cache.setMany(keys.slice(from, from + 500), { tags: ['t'] })
  }
  return cache
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.invalidate-tag',
    title: 'invalidateTags of a tag on so many keys',
    servers: ['redis'],
    subjects: Object.fromEntries(
      [1, 10_000].map((entries) => [
        `${entries} keys`,
        async (context: BenchContext) => {
          const cache = await tagged(context, entries)
          return {
            async iterate(count: number) {
              for (let index = 0; index < count; index++) await cache.invalidateTags(['t'])
            },
            close: () => cache.close(),
          }
        },
      ]),
    ),
    bars: [
      { subject: '10000 keys', over: '1 keys', atMost: 1.3 },
      { subject: '10000 keys', figure: 'nsPerOp', atMost: 600_000 },
    ],
  }),
  defineBench({
    name: 'cache.invalidation-latency',
    title: 'From a delete in one process until another has dropped the entry',
    servers: ['redis'],
    subjects: {
      dharma: async ({ urls }) => {
        const options = { namespace: `lat-${process.pid}`, redis: urls.redis }
        const [one, other] = [createCache(options), createCache(options)]
        await Promise.all([one.ready(), other.ready()])
        return {
          async measure(budgetMs) {
            const samples: number[] = []
            for (const untilMs = performance.now() + budgetMs; performance.now() < untilMs;) {
              await one.set('k', 1)
              while (other.peek('k') === undefined) await other.get('k')
              const beganMs = performance.now()
              void one.delete('k')
              while (other.peek('k') !== undefined)
                await new Promise((resolve) => setImmediate(resolve))
              samples.push(performance.now() - beganMs)
            }
            return figures(samples)
          },
          close: async () => void (await Promise.all([one.close(), other.close()])),
        }
      },
      'raw pub/sub': async ({ urls }) => {
        const [publisher, subscriber] = [new Redis(urls.redis), new Redis(urls.redis)]
        await subscriber.subscribe('bench')
        return {
          async measure(budgetMs) {
            const samples: number[] = []
            for (const untilMs = performance.now() + budgetMs; performance.now() < untilMs;) {
              const heard = { message: false }
              subscriber.once('message', () => (heard.message = true))
              const beganMs = performance.now()
              void publisher.publish('bench', 'k')
              while (!heard.message) await new Promise((resolve) => setImmediate(resolve))
              samples.push(performance.now() - beganMs)
            }
            return figures(samples)
          },
          close() {
            publisher.disconnect()
            subscriber.disconnect()
          },
        }
      },
    },
    bars: [
      { subject: 'dharma', over: 'raw pub/sub', figure: 'p50Micros', atMost: 1.3 },
      { subject: 'dharma', figure: 'p99Micros', atMost: 5_000 },
    ],
  }),
]
