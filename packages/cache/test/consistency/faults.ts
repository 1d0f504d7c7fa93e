import { setTimeout as pause } from 'node:timers/promises'
import type { FaultProxy, TestServer } from '@dharma/testkit'
import type { Redis } from 'ioredis'
import { keysOf, onServer } from './control.ts'
import { machineMs } from './machine-time.ts'
import type { Random } from './random.ts'
import type { Site } from './site.ts'
import type { WorkerProcess } from './worker-process.ts'

/** What a fault breaks, and whom it tells. */
export interface FaultScene {
  readonly site: Site
  readonly workers: readonly WorkerProcess[]
  readonly random: Random
  readonly namespace: string
  readonly note: (what: string) => void
}

/** Breaks something, and mends it before it resolves. */
export type Fault = (scene: FaultScene) => Promise<void>

/** The connections that hear of invalidations, blocked in `XREAD` or subscribed, are killed once. */
export const killListeners: Fault = async ({ site, note }) => {
  note(`killed ${await onServer(redisOf(site), killThem)} connections that listen`)
}

/** They are killed as often as they come back, for a while: commands get through, news does not. */
export const keepListenersDead: Fault = async ({ site, random, note }) => {
  const endMs = machineMs() + random.integer(100, 2_000)
  note('nobody can listen')
  await onServer(redisOf(site), async (redis) => {
    while (machineMs() < endMs) {
      await killThem(redis)
      await pause(10)
    }
  })
  note('all can listen again')
}

async function killThem(redis: Redis): Promise<number> {
  const list = String(await redis.client('LIST'))
  const listeners = list
    .split('\n')
    .filter((line) => /\bcmd=(?:xread|subscribe|psubscribe|ssubscribe)\b/u.test(line))
  for (const line of listeners) {
    const id = /\bid=(\d+)/u.exec(line)?.[1]
    if (id !== undefined) await redis.client('KILL', 'ID', Number(id))
  }
  return listeners.length
}

/** Every connection to the server. */
export const killAllConnections: Fault = async ({ site, note }) => {
  await onServer(redisOf(site), (redis) =>
    redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
  )
  await onServer(redisOf(site), (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))
  note('killed all connections')
}

export const restartEmpty: Fault = async ({ site, random, note }) => {
  const redis = redisOf(site)
  await redis.kill()
  note('Redis killed')
  await pause(random.integer(0, 600))
  await redis.restart({ keepData: false })
  note('Redis is back, empty')
}

export const hang: Fault = async ({ site, random, note }) => {
  const redis = redisOf(site)
  await redis.stop()
  note('Redis hangs')
  await pause(random.integer(100, 1_800))
  await redis.cont()
  note('Redis goes on')
}

export const cutConnections: Fault = async ({ site, random, note }) => {
  const proxy = random.pick(site.proxies)
  if (random.chance(0.5)) proxy.cut()
  else proxy.reset()
  note(`connections of process ${site.proxies.indexOf(proxy)} cut`)
}

export const refuseConnections: Fault = (scene) =>
  breakProxy(scene, 'is refused', (proxy) => proxy.refuse())

export const blackHole: Fault = (scene) =>
  breakProxy(scene, 'reaches nobody', async (proxy) => proxy.blackHole())

export const delayBytes: Fault = (scene) =>
  breakProxy(scene, 'is slow', async (proxy) => proxy.delay(scene.random.pick([5, 60, 200, 400])))

/** The log is trimmed to nothing, so that whoever was behind cannot catch up. */
export const trimLog: Fault = async ({ site, namespace, note }) => {
  await onServer(redisOf(site), (redis) => redis.xtrim(`${namespace}:inv`, 'MAXLEN', 0))
  note('log trimmed')
}

/** Everything but entries and leases, or only some of it, as an eviction might. */
export const dropMetadata: Fault = async ({ site, random, note }) => {
  const dropped = await onServer(redisOf(site), async (redis) => {
    const names = (await keysOf(redis, '*')).filter((name) => !/:[el]:\{/u.test(name))
    const chosen = random.chance(0.3) ? names : names.filter(() => random.chance(0.4))
    if (chosen.length > 0) await redis.del(...chosen)
    return chosen.length
  })
  note(`${dropped} names of metadata dropped`)
}

/** So little memory that Redis evicts whatever it likes. */
export const starve: Fault = async ({ site, random, note }) => {
  await onServer(redisOf(site), async (redis) => {
    const used = /used_memory:(\d+)/u.exec(await redis.info('memory'))?.[1]
    await redis.config('SET', 'maxmemory-policy', 'allkeys-random')
    await redis.config('SET', 'maxmemory', Number(used) + 4_096)
  })
  note('Redis has no memory left')
  await pause(random.integer(200, 1_000))
  const evicted = await onServer(redisOf(site), async (redis) => {
    await redis.config('SET', 'maxmemory', 0)
    return /evicted_keys:(\d+)/u.exec(await redis.info('stats'))?.[1]
  })
  note(`Redis has memory again, ${evicted} keys were evicted so far`)
}

/** One process of the checker stands still, with its connections open. */
export const freezeWorker: Fault = async ({ workers, random, note }) => {
  const worker = random.pick(workers)
  worker.signal('SIGSTOP')
  note(`process ${worker.index} frozen`)
  await pause(random.integer(100, 2_200))
  worker.signal('SIGCONT')
  note(`process ${worker.index} goes on`)
}

function redisOf({ redis }: Site): TestServer {
  if (redis === undefined) throw new RangeError('this fault is for one server')
  return redis
}

async function breakProxy(
  { site, random, note }: FaultScene,
  what: string,
  breaks: (proxy: FaultProxy) => Promise<void>,
): Promise<void> {
  const proxy = random.pick(site.proxies)
  const index = site.proxies.indexOf(proxy)
  await breaks(proxy)
  note(`process ${index} ${what}`)
  await pause(random.integer(100, 2_000))
  await proxy.heal()
  note(`process ${index} is well again`)
}
