import { systemClock } from '@dharma/core'
import { uniqueName } from '@dharma/testkit'
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

/** A reader that has read its log to the end, and a client that writes there past all scripts. */
async function startReader() {
  const layout = new KeyLayout(uniqueName('log'))
  const redis = new Redis(inject('redisUrl'))
  redis.defineCommand('dharmaSync', { lua: SCRIPTS.dharmaSync })
  const events: LogEvent[] = []
  const restarts: Restart[] = []
  const state = { version: 0, syncs: 0 }
  const reader = new LogReader({
    link: RedisLink.open(inject('redisUrl'), () => undefined),
    layout,
    clock: systemClock,
    blockMs: 50,
    silenceMs: 5_000,
    onEvent: (event) => {
      events.push(event)
      if (event.kind === 'invalidation') state.version = event.version
    },
    onRestart: (position, isRollback) => {
      restarts.push({ position, isRollback })
      state.version = position.version
    },
    onSynced: () => state.syncs++,
    onError: () => undefined,
    versionHint: () => state.version,
  })
  onTestFinished(async () => {
    await reader.close()
    redis.disconnect()
  })
  await eventually(() => state.syncs > 1)
  const append = async (previous: number, version: number, key: string): Promise<void> => {
    const what = JSON.stringify({ k: [key] })
    const record = ['p', previous, 'v', version, 'o', 'other', 'x', what] as const
    await redis
      .multi()
      .set(layout.version, version)
      .xadd(layout.log, '*', ...record)
      .exec()
  }
  restarts.length = 0
  return { reader, redis, layout, events, restarts, state, append }
}

describeWithRedis('LogReader', () => {
  it('tells each record once, in its order, and begins anew for none of them', async () => {
    const { append, events, restarts, state } = await startReader()
    let { version } = state
    for (let index = 0; index < 20; index++) await append(version, ++version, `k${index}`)
    await eventually(() => events.length === 20)
    expect(events.map((event) => event.kind === 'invalidation' && event.targets.keys)).toEqual(
      Array.from({ length: 20 }, (_, index) => [`k${index}`]),
    )
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
    const { reader, redis, layout, append, events, restarts, state } = await startReader()
    await append(state.version, state.version + 1, 'k')
    await eventually(() => events.length === 1)
    const [[id] = ['']] = await redis.xrevrange(layout.log, '+', '-', 'COUNT', 1)
    await redis.xdel(layout.log, id)
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
})
