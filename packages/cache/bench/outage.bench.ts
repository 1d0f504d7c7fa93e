import { createCache, type Cache } from '@dharma/cache'
import { startRedis, type TestServer } from '@dharma/testkit'
import { defineBench, type Bench, type Figures, type Subject } from '@dharma/testkit/bench'

const TIMEOUT_MS = 250
const LOADER_MS = 5
const WIDTH = 64

interface Phase {
  readonly perSecond: number
  readonly worstMs: number
  readonly errors: number
}

/** Reads that always load, by 64 callers for a while; `redis` undefined for the loader alone. */
async function read(cache: Cache | undefined, forMs: number): Promise<Phase> {
  let done = 0
  let worstMs = 0
  let errors = 0
  const load = (): Promise<number> =>
    new Promise((resolve) => setTimeout(() => resolve(1), LOADER_MS))
  const beganMs = performance.now()
  const reader = async (_: unknown, number: number): Promise<void> => {
    while (performance.now() - beganMs < forMs) {
      const calledMs = performance.now()
      try {
        await (cache === undefined ? load() : cache.getOrLoad(`k${number}:${done}`, load))
      } catch {
        errors++
      }
      worstMs = Math.max(worstMs, performance.now() - calledMs)
      done++
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, reader))
  return { perSecond: (done * 1_000) / (performance.now() - beganMs), worstMs, errors }
}

/** Milliseconds until a value that is written comes back from Redis. */
async function untilBackMs(cache: Cache, other: Cache): Promise<number> {
  const beganMs = performance.now()
  for (let turn = 0; ; turn++) {
    const { status } = await cache.set('back', turn)
    if (status === 'done' && (await other.get('back')) === turn) return performance.now() - beganMs
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function outage(
  fault: (server: TestServer) => Promise<void>,
  repair: (server: TestServer) => Promise<void>,
): Promise<Subject> {
  const server = await startRedis({ dedicated: true })
  const open = (): Cache =>
    createCache({ namespace: 'outage', redis: server.url, memory: false, timeoutMs: TIMEOUT_MS })
  const [cache, other] = [open(), open()]
  await Promise.all([cache.ready(), other.ready()])
  return {
    async measure(budgetMs): Promise<Figures> {
      const alone = await read(undefined, budgetMs / 4)
      const failing = fault(server)
      const first = await read(cache, 300)
      const later = await read(cache, budgetMs / 2)
      await failing
      await repair(server)
      const backMs = await untilBackMs(cache, other)
      return {
        errors: first.errors + later.errors,
        worstMs: Math.max(first.worstMs, later.worstMs),
        throughputOverLoader: later.perSecond / alone.perSecond,
        backMs,
      }
    },
    async close() {
      await Promise.all([cache.close(), other.close()])
      await server.close()
    },
  }
}

const SUBJECTS = ['killed', 'hung'] as const

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.outage',
    title: 'Loads of 5 ms by 64 callers while Redis is gone, and the way back',
    rounds: 3,
    roundMs: 800,
    subjects: {
      killed: () =>
        outage(
          (server) => server.kill(),
          (server) => server.restart(),
        ),
      hung: () =>
        outage(
          (server) => server.stop(),
          (server) => server.cont(),
        ),
    },
    bars: SUBJECTS.flatMap((subject) => [
      { subject, figure: 'errors', atMost: 0 },
      { subject, figure: 'worstMs', atMost: TIMEOUT_MS + LOADER_MS + 20 },
      { subject, figure: 'throughputOverLoader', atLeast: 0.95 },
      { subject, figure: 'backMs', atMost: 300 },
    ]),
  }),
]
