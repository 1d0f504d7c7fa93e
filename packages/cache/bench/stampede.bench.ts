import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createCache } from '@dharma/cache'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import type { StampedeOrder } from './stampede-peer.ts'

const CALLERS = 1_000
const LOADER_MS = 100

/** Calls cold keys until the budget is spent; medians of the loads a key and of its time over the loader's. */
function stampede(
  call: (order: StampedeOrder) => Promise<number>,
  processes: number,
  close: () => Promise<unknown>,
): Subject {
  let turn = 0
  return {
    async measure(budgetMs) {
      const walls: number[] = []
      let mostLoads = 0
      for (
        const untilMs = performance.now() + budgetMs;
        walls.length === 0 || performance.now() < untilMs;
      ) {
        const beganMs = performance.now()
        const loads = await call({
          key: `cold:${turn++}`,
          callers: CALLERS / processes,
          loaderMs: LOADER_MS,
        })
        walls.push(performance.now() - beganMs)
        mostLoads = Math.max(mostLoads, loads)
      }
      const wallMs = walls.toSorted((a, b) => a - b)[walls.length >> 1] ?? 0
      return { wallOverLoader: wallMs / LOADER_MS, loads: mostLoads }
    },
    close: async () => void (await close()),
  }
}

function oneProcess({ urls }: BenchContext, fails: boolean): Subject {
  const cache = createCache({
    namespace: `one-${process.pid}`,
    redis: urls.redis,
    timeoutMs: 10_000,
  })
  const call = async ({ key, callers, loaderMs }: StampedeOrder): Promise<number> => {
    await cache.ready()
    let loads = 0
    const load = async (): Promise<number> => {
      loads++
      await new Promise((resolve) => setTimeout(resolve, loaderMs))
      if (fails) throw new Error('the loader fails')
      return 1
    }
    await Promise.allSettled(Array.from({ length: callers }, () => cache.getOrLoad(key, load)))
    return loads
  }
  return stampede(call, 1, () => cache.close())
}

async function fourProcesses({ urls }: BenchContext): Promise<Subject> {
  const script = fileURLToPath(new URL('./stampede-peer.ts', import.meta.url))
  const peers: ChildProcess[] = Array.from({ length: 4 }, () =>
    fork(script, [`four-${process.pid}`, urls.redis], {
      execArgv: ['--conditions=@dharma/source'],
    }),
  )
  await Promise.all(peers.map((peer) => once(peer, 'message')))
  const call = async (order: StampedeOrder): Promise<number> => {
    const replies = peers.map((peer) => once(peer, 'message') as Promise<[number]>)
    for (const peer of peers) peer.send(order)
    return (await Promise.all(replies)).reduce((sum, [loads]) => sum + loads, 0)
  }
  return stampede(call, 4, () =>
    Promise.all(
      peers.map((peer) => {
        const exited = once(peer, 'exit')
        peer.send('close')
        return exited
      }),
    ),
  )
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.stampede',
    title:
      '1,000 callers of one cold key, loader of 100 ms: most loads, and median time over the loader’s',
    servers: ['redis'],
    roundMs: 600,
    subjects: {
      'one process': (context) => oneProcess(context, false),
      'four processes': fourProcesses,
      'one process, loader throws': (context) => oneProcess(context, true),
    },
    bars: [
      { subject: 'one process', figure: 'loads', atMost: 1 },
      { subject: 'four processes', figure: 'loads', atMost: 1 },
      { subject: 'one process, loader throws', figure: 'loads', atMost: 1 },
      { subject: 'one process', figure: 'wallOverLoader', atMost: 1.08 },
      { subject: 'four processes', figure: 'wallOverLoader', atMost: 1.3 },
    ],
  }),
]
