import { createCache } from '@dharma/cache'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { Redis } from 'ioredis'

const COUNT = 1_024
const KEYS = Array.from({ length: COUNT }, (_, index) => `user:${index}:profile`)
const keyAt = (index: number): string => KEYS[index & (COUNT - 1)] as string
const valueOf = (key: string): object => ({
  id: key,
  name: `name of ${key}`,
  tags: ['a', 'b'],
  age: 42,
})

/** Reads by `width` callers at once, each of which reads one key after the other. */
function readers(
  width: number,
  read: (key: string) => Promise<unknown>,
  close: () => unknown,
): Subject {
  return {
    async iterate(count) {
      let next = 0
      const reader = async (): Promise<void> => {
        while (next < count) {
          if ((await read(keyAt(next++))) === undefined) throw new Error('every read is a hit')
        }
      }
      await Promise.all(Array.from({ length: width }, reader))
    },
    close: async () => void (await close()),
  }
}

async function ours(
  { urls }: BenchContext,
  tags: readonly string[] = [],
): Promise<ReturnType<typeof createCache>> {
  const cache = createCache({ namespace: `bench-${process.pid}`, redis: urls.redis, memory: false })
  await cache.ready()
  await cache.setMany(
    KEYS.map((key) => [key, valueOf(key)]),
    { ttlMs: 3_600_000, tags },
  )
  return cache
}

async function raw({ urls }: BenchContext): Promise<Redis> {
  const redis = new Redis(urls.redis)
  for (const key of KEYS) await redis.set(`raw:${process.pid}:${key}`, JSON.stringify(valueOf(key)))
  return redis
}

const get = async (redis: Redis, key: string): Promise<unknown> =>
  JSON.parse((await redis.get(`raw:${process.pid}:${key}`)) ?? 'null') as unknown

function widthBench(width: number, atLeast: number): Bench {
  return defineBench({
    name: `cache.redis-hit-${width}`,
    title: `A read that hits Redis, ${width} at once, no memory tier`,
    servers: ['redis'],
    subjects: {
      dharma: async (context) => {
        const cache = await ours(context)
        return readers(
          width,
          (key) => cache.get(key),
          () => cache.close(),
        )
      },
      'dharma, one tag': async (context) => {
        const cache = await ours(context, ['tag'])
        return readers(
          width,
          (key) => cache.get(key),
          () => cache.close(),
        )
      },
      'ioredis GET + parse': async (context) => {
        const redis = await raw(context)
        return readers(
          width,
          (key) => get(redis, key),
          () => redis.disconnect(),
        )
      },
    },
    bars: [
      { subject: 'ioredis GET + parse', over: 'dharma', atLeast },
      { subject: 'dharma', over: 'dharma, one tag', atLeast: 0.93 },
    ],
  })
}

export const benches: readonly Bench[] = [
  widthBench(1, 0.95),
  widthBench(64, 2),
  widthBench(256, 2.7),
  defineBench({
    name: 'cache.get-many',
    title: 'getMany of 100 keys from Redis, no memory tier',
    servers: ['redis'],
    subjects: {
      dharma: async (context) => {
        const cache = await ours(context)
        const keys = KEYS.slice(0, 100)
        return readers(
          1,
          () => cache.getMany(keys),
          () => cache.close(),
        )
      },
      'ioredis MGET + parse': async (context) => {
        const redis = await raw(context)
        const names = KEYS.slice(0, 100).map((key) => `raw:${process.pid}:${key}`)
        const read = async (): Promise<unknown> =>
          new Map(
            (await redis.mget(names)).map((text, index) => [
              names[index],
              JSON.parse(text ?? 'null') as unknown,
            ]),
          )
        return readers(1, read, () => redis.disconnect())
      },
    },
    bars: [{ subject: 'ioredis MGET + parse', over: 'dharma', atLeast: 0.97 }],
  }),
]
