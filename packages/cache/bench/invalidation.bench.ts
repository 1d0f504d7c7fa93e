import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createCache } from '@dharma/cache'
import {
  defineBench,
  type Bench,
  type BenchContext,
  type Figures,
  type Subject,
} from '@dharma/testkit/bench'
import { Redis } from 'ioredis'
import type { Heard, Hearing } from './invalidation-peer.ts'

/** Medians and worst of some milliseconds, in microseconds. */
function figures(samples: number[]): Figures {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    (sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 1_000
  return { nsPerOp: at(0.5) * 1_000, p50Micros: at(0.5), p99Micros: at(0.99) }
}

/** Makes copies of an entry under other names, where it is. */
const COPY = `
local bytes = redis.call('GET', KEYS[1])
for i = ARGV[1], ARGV[2] do redis.call('SET', ARGV[3] .. i .. '}', bytes, 'PX', 600000) end
`
const DROP = `for i = ARGV[1], ARGV[2] do redis.call('UNLINK', ARGV[3] .. i .. '}') end`
const COPIES_AT_ONCE = 50_000

/** `tags` invalidated one after the other, each on so many entries. */
async function tagged({ urls, once: isShort }: BenchContext, entries: number): Promise<Subject> {
  const namespace = `inv-${process.pid}`
  const cache = createCache({ namespace, redis: urls.redis, memory: false, timeoutMs: 10_000 })
  const redis = new Redis(urls.redis)
  await cache.ready()
  await cache.set('k0', 0, { tags: ['t'], ttlMs: 600_000 })
  const last = isShort ? 10 : entries - 1
  const name = `${namespace}:e:{k`
  const each = async (script: string): Promise<void> => {
    for (let from = 1; from <= last; from += COPIES_AT_ONCE) {
      const to = Math.min(last, from + COPIES_AT_ONCE - 1)
      await redis.eval(script, 1, `${name}0}`, from, to, name)
    }
  }
  await each(COPY)
  if (last > 0 && (await cache.get(`k${last}`)) !== 0) throw new Error('the copies are entries')
  return {
    async iterate(count: number) {
      for (let index = 0; index < count; index++) await cache.invalidateTags(['t'])
    },
    async close() {
      await each(DROP)
      redis.disconnect()
      await cache.close()
    },
  }
}

interface Teller {
  prepare(): Promise<unknown>
  act(): Promise<unknown>
  close(): Promise<unknown>
}

async function startPeer(hearing: Hearing, name: string, url: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./invalidation-peer.ts', import.meta.url))
  const peer = fork(script, [hearing, name, url], { execArgv: ['--conditions=@dharma/source'] })
  await once(peer, 'message')
  return peer
}

/** From an act in this process until the peer has heard of it, by the clock that both have in common. */
function latency(peer: ChildProcess, { prepare, act, close }: Teller): Subject {
  return {
    async measure(budgetMs) {
      const samples: number[] = []
      for (const untilMs = performance.now() + budgetMs; performance.now() < untilMs;) {
        await prepare()
        const ready = once(peer, 'message')
        peer.send('watch')
        await ready
        // The peer has read all that came before, and waits for what comes next.
        await setTimeout(1)
        const heard = once(peer, 'message') as Promise<[Exclude<Heard, 'ready'>]>
        const beganNs = process.hrtime.bigint()
        await act()
        const [{ atNs }] = await heard
        samples.push(Number(BigInt(atNs) - beganNs) / 1e6)
      }
      return figures(samples)
    },
    async close() {
      const exited = once(peer, 'exit')
      peer.send('close')
      await exited
      await close()
    },
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.invalidate-tag',
    title: 'invalidateTags of a tag on so many keys',
    servers: ['redis'],
    subjects: Object.fromEntries(
      [1, 10_000, 1_000_000].map((entries) => [
        `${entries} keys`,
        (context: BenchContext) => tagged(context, entries),
      ]),
    ),
    bars: [
      { subject: '10000 keys', over: '1 keys', atMost: 1.3 },
      { subject: '10000 keys', figure: 'nsPerOp', atMost: 600_000 },
      { subject: '1000000 keys', over: '1 keys', atMost: 1.3 },
      { subject: '1000000 keys', figure: 'nsPerOp', atMost: 600_000 },
    ],
  }),
  defineBench({
    name: 'cache.invalidation-latency',
    title: 'From a delete in one process until another has dropped the entry, beside raw pub/sub',
    servers: ['redis'],
    roundMs: 1_000,
    subjects: {
      dharma: async ({ urls }) => {
        const name = `lat-${process.pid}`
        const cache = createCache({ namespace: name, redis: urls.redis })
        await cache.ready()
        return latency(await startPeer('log', name, urls.redis), {
          prepare: () => cache.set('k', 1),
          act: () => cache.delete('k'),
          close: () => cache.close(),
        })
      },
      'raw pub/sub': async ({ urls }) => {
        const name = `lat-${process.pid}`
        const publisher = new Redis(urls.redis)
        return latency(await startPeer('pub/sub', name, urls.redis), {
          prepare: () => publisher.ping(),
          act: () => publisher.publish(name, 'k'),
          close: () => publisher.quit(),
        })
      },
    },
    bars: [
      { subject: 'dharma', over: 'raw pub/sub', figure: 'p50Micros', atMost: 1.3 },
      { subject: 'dharma', figure: 'p99Micros', atMost: 5_000 },
    ],
  }),
]
