import { systemClock } from '@dharma/core'
import { startFaultProxy, uniqueName, type FaultProxy } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it, onTestFinished } from 'vitest'
import type { LogEvent } from '../../src/invalidation/log-event.ts'
import { LogReader, type LogPosition } from '../../src/invalidation/log-reader.ts'
import { KeyLayout } from '../../src/redis/key-layout.ts'
import { RedisLink } from '../../src/redis/redis-link.ts'
import { SCRIPTS } from '../../src/redis/scripts.ts'
import { eventually } from '../cache/shared-cache.ts'

interface Restart {
  readonly position: LogPosition
  readonly isRollback: boolean
}

interface ReaderOptions {
  readonly url?: string
  readonly blockMs?: number
  /** Called with each event that the reader tells, while it tells it. */
  readonly during?: (event: LogEvent) => void
}

/** A client that can be given to the reader to verify. */
function openClient(url: string): Redis {
  const redis = new Redis(url)
  redis.defineCommand('dharmaSync', { lua: SCRIPTS.dharmaSync })
  onTestFinished(() => redis.disconnect())
  return redis
}

/** A way to the server on which bytes can be held up: all of them until it heals. */
async function startDetour(): Promise<{ proxy: FaultProxy; url: string; holdUp: () => void }> {
  const url = new URL(inject('redisUrl'))
  const proxy = await startFaultProxy({ host: url.hostname, port: Number(url.port) })
  onTestFinished(() => proxy.close())
  url.hostname = proxy.host
  url.port = String(proxy.port)
  return { proxy, url: url.href, holdUp: () => proxy.delay(60_000) }
}

/** A reader that has read its log to the end, and a client that writes there past all scripts. */
async function startReader({ url = inject('redisUrl'), blockMs = 50, during }: ReaderOptions = {}) {
  const layout = new KeyLayout(uniqueName('log'))
  const redis = openClient(inject('redisUrl'))
  const events: LogEvent[] = []
  const restarts: Restart[] = []
  const state = { version: 0, syncs: 0 }
  const reader = new LogReader({
    link: RedisLink.open(url, () => undefined),
    layout,
    clock: systemClock,
    blockMs,
    silenceMs: 60_000,
    onEvent: (event) => {
      events.push(event)
      if (event.kind === 'invalidation') state.version = event.version
      during?.(event)
    },
    onRestart: (position, isRollback) => {
      restarts.push({ position, isRollback })
      state.version = position.version
    },
    onSynced: () => state.syncs++,
    onError: () => undefined,
    versionHint: () => state.version,
  })
  onTestFinished(() => reader.close())
  await eventually(() => state.syncs > 0)
  const append = async (previous: number, version: number, key: string): Promise<void> => {
    const what = JSON.stringify({ k: [key] })
    const record = ['p', previous, 'v', version, 'o', 'other', 'x', what] as const
    await redis
      .multi()
      .set(layout.version, version)
      .xadd(layout.log, '*', ...record)
      .exec()
  }
  /** The record that was written last is lost, as in a failover. */
  const loseLast = async (): Promise<void> => {
    const [[id] = ['']] = await redis.xrevrange(layout.log, '+', '-', 'COUNT', 1)
    await redis.xdel(layout.log, id)
  }
  restarts.length = 0
  return { reader, redis, layout, events, restarts, state, append, loseLast }
}

/** The keys of invalidations that were told, in their order. */
function keysOf(events: readonly LogEvent[]): string[] {
  return events.flatMap((event) =>
    event.kind === 'invalidation' ? (event.targets.keys ?? []) : [],
  )
}

describeWithRedis('LogReader', () => {
  it('tells each record once, in its order, and begins anew for none of them', async () => {
    const { append, events, restarts, state } = await startReader()
    let { version } = state
    for (let index = 0; index < 20; index++) await append(version, ++version, `k${index}`)
    await eventually(() => events.length === 20)
    expect(keysOf(events)).toEqual(Array.from({ length: 20 }, (_, index) => `k${index}`))
    const { syncs } = state
    await eventually(() => state.syncs > syncs + 1)
    expect(restarts).toEqual([])
  })

  it('begins anew where a record does not follow the one before it', async () => {
    const { append, events, restarts, state } = await startReader()
    const { version } = state
    await append(version + 5, version + 6, 'after a gap')
    await eventually(() => restarts.length > 0)
    expect(restarts[0]).toMatchObject({ isRollback: false, position: { version: version + 6 } })
    expect(events).toEqual([])
    await append(version + 6, version + 7, 'next')
    await eventually(() => events.length === 1)
    expect(restarts.length).toBe(1)
  })

  it('begins anew where the number is beyond the last record', async () => {
    const { redis, layout, restarts, state } = await startReader()
    const version = state.version + 1
    await redis.set(layout.version, version)
    await eventually(() => restarts.length > 0)
    expect(restarts[0]).toMatchObject({ isRollback: false, position: { version } })
  })

  it('knows that Redis went back in time by a number that fell', async () => {
    const { redis, layout, restarts, state } = await startReader()
    const version = state.version - 1
    await redis.set(layout.version, version)
    await eventually(() => restarts.length > 0)
    expect(restarts[0]).toMatchObject({ isRollback: true, position: { version } })
  })

  it('knows it as well when another connection was told of more', async () => {
    const { restarts, state } = await startReader()
    const { version } = state
    state.version += 10
    await eventually(() => restarts.length > 0)
    expect(restarts[0]).toMatchObject({ isRollback: true, position: { version } })
  })

  it('finds a server as it should be where that has the last record', async () => {
    const { reader, redis, append, events, restarts, state } = await startReader()
    await reader.verify(redis)
    await append(state.version, state.version + 1, 'k')
    await eventually(() => events.length === 1)
    await reader.verify(redis)
    expect(restarts).toEqual([])
  })

  it('finds a server that lacks the last record, although its number is higher', async () => {
    const { reader, redis, append, loseLast, events, restarts, state } = await startReader()
    await append(state.version, state.version + 1, 'k')
    await eventually(() => events.length === 1)
    await loseLast()
    await reader.verify(redis)
    expect(restarts).toMatchObject([{ isRollback: true, position: { version: state.version } }])
  })

  it('loses no record that comes while more are read than one read takes', async () => {
    const { redis, layout, events, restarts, state } = await startReader()
    const first = state.version
    const batch = redis.multi().set(layout.version, first + 2_500)
    for (let index = 1; index <= 2_500; index++) {
      const what = JSON.stringify({ k: [`k${index}`] })
      batch.xadd(layout.log, '*', 'p', first + index - 1, 'v', first + index, 'o', 'x', 'x', what)
    }
    await batch.exec()
    await eventually(() => events.length === 2_500)
    expect(restarts).toEqual([])
  })

  it('does not begin anew for what was read before it has begun anew, and is answered after', async () => {
    const { proxy, url, holdUp } = await startDetour()
    const { reader, redis, append, loseLast, events, restarts, state } = await startReader({
      url,
      blockMs: 10_000,
    })
    const { version } = state
    await append(version, version + 1, 'first')
    await eventually(() => events.length === 1)
    // The next read is on its way, or waits in Redis already: its answer holds what comes now.
    holdUp()
    await loseLast()
    await append(version + 1, version + 2, 'second')
    await reader.verify(redis)
    expect(restarts).toMatchObject([{ isRollback: true, position: { version: version + 2 } }])
    await proxy.heal()
    await append(version + 2, version + 3, 'third')
    await eventually(() => events.length === 2)
    expect(keysOf(events)).toEqual(['first', 'third'])
    expect(restarts.length).toBe(1)
  })

  it('does not begin anew by an answer that comes after another connection made it do so', async () => {
    const { proxy, url, holdUp } = await startDetour()
    const { reader, redis, layout, append, events, restarts, state } = await startReader({
      url,
      // What the reader asks next, as it finds the gap behind this event, gets no answer.
      during: holdUp,
    })
    const { version } = state
    const record = (key: string, previous: number): (string | number)[] => {
      return ['p', previous, 'v', previous + 1, 'o', 'x', 'x', JSON.stringify({ k: [key] })]
    }
    await redis
      .multi()
      .set(layout.version, version + 6)
      .xadd(layout.log, '*', ...record('first', version))
      .xadd(layout.log, '*', ...record('behind a gap', version + 5))
      .exec()
    await eventually(() => events.length === 1)
    expect(restarts).toEqual([])
    const [[id] = ['']] = await redis.xrange(layout.log, '-', '+', 'COUNT', 1)
    await redis.xdel(layout.log, id)
    await reader.verify(redis)
    expect(restarts).toMatchObject([{ isRollback: true, position: { version: version + 6 } }])
    await proxy.heal()
    await append(version + 6, version + 7, 'next')
    await eventually(() => events.length === 2)
    expect(keysOf(events)).toEqual(['first', 'next'])
    expect(restarts.length).toBe(1)
  })

  it('asks again where it has begun anew while another connection was verified', async () => {
    const { proxy, url, holdUp } = await startDetour()
    const { reader, redis, layout, append, loseLast, events, restarts, state } = await startReader()
    const other = openClient(url)
    await other.ping()
    await append(state.version, state.version + 1, 'first')
    await eventually(() => events.length === 1)
    holdUp()
    const verified = reader.verify(other)
    await loseLast()
    await redis.incr(layout.version)
    await eventually(() => restarts.length === 1)
    await append(state.version, state.version + 1, 'second')
    await eventually(() => events.length === 2)
    await proxy.heal()
    await verified
    expect(restarts).toMatchObject([{ isRollback: false }])
  })
})
