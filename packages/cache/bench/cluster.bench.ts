import { createCache } from '@dharma/cache'
import { startRedisCluster } from '@dharma/testkit'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import { Redis } from 'ioredis'

const COUNT = 100
const KEYS = Array.from({ length: COUNT }, (_, index) => `user:${index}:profile`)
const valueOf = (key: string): object => ({ id: key, name: `name of ${key}`, tags: ['a', 'b'] })

/**
 * Both in one process and one cluster, turn by turn. The raw side knows beforehand which keys are on
 * which node, and gives all of a node the same hash tag, so that one MGET a node is possible at all.
 */
async function getMany(): Promise<Subject> {
  const topology = await startRedisCluster()
  const nodes = topology.nodes.map(({ host, port }) => ({ host, port }))
  const cache = createCache({
    namespace: 'bench',
    redis: { mode: 'cluster', nodes },
    memory: false,
    timeoutMs: 10_000,
  })
  await cache.ready()
  await cache.setMany(KEYS.map((key) => [key, valueOf(key)]))
  const raws = await Promise.all(
    topology.nodes.slice(0, 3).map(async (server, shard) => {
      let tag = 0
      while ((await topology.masterOf(`{${tag}}`)) !== server) tag++
      const names = KEYS.filter((_, index) => index % 3 === shard).map((key) => `{${tag}}:${key}`)
      const redis = new Redis(server.url)
      await redis.mset(names.flatMap((name) => [name, JSON.stringify(valueOf(name))]))
      return { redis, names }
    }),
  )
  const raw = async (): Promise<Map<string, unknown>> => {
    const found = new Map<string, unknown>()
    await Promise.all(
      raws.map(async ({ redis, names }) => {
        const texts = await redis.mget(names)
        for (const [index, text] of texts.entries()) {
          found.set(names[index] as string, JSON.parse(text ?? 'null') as unknown)
        }
      }),
    )
    return found
  }
  // What a client must send where keys have no hash tag in common: an MGET over two slots is refused.
  const rawGets = async (): Promise<Map<string, unknown>> => {
    const found = new Map<string, unknown>()
    await Promise.all(
      raws.map(async ({ redis, names }) => {
        const pipeline = redis.pipeline()
        for (const name of names) pipeline.get(name)
        const replies = (await pipeline.exec()) ?? []
        for (const [index, [, text]] of replies.entries()) {
          found.set(names[index] as string, JSON.parse(text as string) as unknown)
        }
      }),
    )
    return found
  }
  const time = async (
    read: () => Promise<Map<string, unknown>>,
    forMs: number,
  ): Promise<number> => {
    let done = 0
    const beganMs = performance.now()
    do {
      if ((await read()).size !== COUNT) throw new Error('every read is a hit')
      done++
    } while (performance.now() - beganMs < forMs)
    return ((performance.now() - beganMs) * 1_000) / done
  }
  return {
    async measure(budgetMs) {
      const rawMicros = await time(raw, budgetMs / 3)
      const getsMicros = await time(rawGets, budgetMs / 3)
      const oursMicros = await time(() => cache.getMany(KEYS), budgetMs / 3)
      return {
        oursMicros,
        rawMicros,
        getsMicros,
        rawOverOurs: rawMicros / oursMicros,
        getsOverOurs: getsMicros / oursMicros,
      }
    },
    async close() {
      await cache.close()
      for (const { redis } of raws) redis.disconnect()
      await topology.close()
    },
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.cluster-get-many',
    title: 'getMany of 100 keys over three nodes, beside one MGET a node + parse',
    subjects: { dharma: getMany },
    roundMs: 600,
    bars: [
      { subject: 'dharma', figure: 'rawOverOurs', atLeast: 0.8 },
      { subject: 'dharma', figure: 'getsOverOurs', atLeast: 0.8 },
    ],
  }),
]
