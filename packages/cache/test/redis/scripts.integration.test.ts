import { systemClock } from '@dharma/core'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, inject, it, onTestFinished } from 'vitest'
import { EntryFormat } from '../../src/redis/entry-format.ts'
import { InvalidationWriter } from '../../src/redis/invalidation-writer.ts'
import { KeyLayout } from '../../src/redis/key-layout.ts'
import { Leases } from '../../src/redis/leases.ts'
import { RedisLink } from '../../src/redis/redis-link.ts'
import { RedisRunner } from '../../src/redis/redis-runner.ts'

const LIFE = { ttlMs: 60_000, staleMs: 0, graceMs: 0, loadMs: 0, isNegative: false, tags: [] }
const NOTHING = Buffer.alloc(0)

async function open() {
  const layout = new KeyLayout(uniqueName('scripts'))
  const link = RedisLink.open(inject('redisUrl'), () => undefined)
  const runner = new RedisRunner({
    link,
    clock: systemClock,
    timeoutMs: 5_000,
    onBreaker: () => undefined,
  })
  const redis = new Redis(inject('redisUrl'))
  onTestFinished(() => {
    runner.close()
    redis.disconnect()
  })
  await link.whenReady(AbortSignal.timeout(5_000))
  const format = new EntryFormat()
  const leases = new Leases({ runner, layout, leaseMs: 5_000, maxLogLength: 100 })
  const writer = new InvalidationWriter({
    runner,
    layout,
    origin: 'me',
    maxLogLength: 100,
    maxPatterns: 3,
    tagLifeMs: 60_000,
    replicas: 0,
    timeoutMs: 5_000,
  })
  const encoded = format.encode(layout.entry('k'), 'value', LIFE)
  const write = (notAfterMs?: number) =>
    writer.write([{ key: 'k', encoded, lifeMs: 60_000 }], { version: 0, notAfterMs })
  const fill = (token: string) => leases.fill('k', token, encoded, 1, 1, 60_000)
  const serverMs = async (): Promise<number> => Number((await redis.time())[0]) * 1_000
  return { layout, redis, runner, leases, writer, write, fill, serverMs }
}

describeWithRedis('a load is stored', () => {
  it('while its lease is its own, and only once', async () => {
    const { leases, fill, redis, layout } = await open()
    expect((await leases.acquire('k', 'a', NOTHING, 0)).kind).toBe('granted')
    expect(await leases.acquire('k', 'b', NOTHING, 0)).toMatchObject({ kind: 'held', holder: 'a' })
    expect([await fill('b'), await fill('a'), await fill('a')]).toEqual([false, true, false])
    expect(await redis.exists(layout.entry('k'))).toBe(1)
  })

  it.each([
    ['deleted', (writer: InvalidationWriter) => writer.invalidate({ keys: ['k'] }, 0)],
    [
      'written',
      (writer: InvalidationWriter) => {
        const encoded = new EntryFormat().encode('n', 'newer', LIFE)
        const entries = [{ key: 'k', encoded, lifeMs: 1_000 }]
        return writer.write(entries, { version: 0, notAfterMs: undefined })
      },
    ],
  ])('not if its key was %s meanwhile', async (_, change) => {
    const { leases, writer, fill, redis, layout } = await open()
    await leases.acquire('k', 'a', NOTHING, 0)
    await change(writer)
    const before = await redis.getBuffer(layout.entry('k'))
    expect([await fill('a'), await leases.renew('k', 'a')]).toEqual([false, false])
    expect(await redis.getBuffer(layout.entry('k'))).toEqual(before)
  })

  it('not if its lease ran out and another has it', async () => {
    const { leases, fill, redis, layout } = await open()
    await leases.acquire('k', 'a', NOTHING, 0)
    await redis.del(layout.lease('k'))
    expect((await leases.acquire('k', 'b', NOTHING, 0)).kind).toBe('granted')
    expect([await fill('a'), await fill('b')]).toEqual([false, true])
  })
})

describeWithRedis('a write', () => {
  it('that arrives after its caller was told that it failed is refused', async () => {
    const { write, redis, layout, serverMs } = await open()
    expect((await write((await serverMs()) - 2_000)).areStored).toEqual([false])
    expect(await redis.exists(layout.entry('k'), layout.log)).toBe(0)
    expect((await write((await serverMs()) + 10_000)).areStored).toEqual([true])
    expect(await redis.exists(layout.entry('k'))).toBe(1)
  })
})

describeWithRedis('a wait for replicas', () => {
  it('fails where fewer acknowledge than must', async () => {
    const { runner, layout } = await open()
    const waiting = runner.waitForReplicas([layout.log], 1, 60)
    await expect(waiting).rejects.toMatchObject({
      cause: { message: '0 of 1 replicas acknowledged the write' },
    })
  })
})

describeWithRedis('numbers of invalidations', () => {
  it('only grow, also when the counter was lost', async () => {
    const { writer, redis, layout } = await open()
    let last = 0
    for (let round = 0; round < 10; round++) {
      const version = await writer.invalidate({ tags: ['t'] }, last)
      expect(version).toBeGreaterThan(last)
      expect(Number(await redis.get(layout.tag('t')))).toBe(version)
      last = version
      if (round % 2 === 0) await redis.del(layout.version)
    }
    // What another process knows may be ahead of this server's clock.
    await redis.del(layout.version)
    expect(await writer.invalidate({ tags: ['t'] }, last + 1e12)).toBeGreaterThan(last + 1e12)
  })

  it('a lost counter or list of patterns rules out every entry from before', async () => {
    const { writer, redis, layout } = await open()
    const before = await writer.invalidate({ patterns: ['a*'] }, 0)
    await redis.del(layout.version)
    const after = await writer.invalidate({ patterns: ['b*'] }, before)
    const { f: floor } = JSON.parse((await redis.get(layout.patterns)) ?? '') as { f: string }
    expect(Number(floor)).toBeGreaterThan(before)
    await redis.del(layout.patterns)
    await writer.invalidate({ patterns: ['c*'] }, after)
    const { f: raised } = JSON.parse((await redis.get(layout.patterns)) ?? '') as { f: string }
    expect(Number(raised)).toBeGreaterThan(after)
  })

  it('the oldest of too many patterns rules out every entry from before it', async () => {
    const { writer, redis, layout } = await open()
    const versions: number[] = []
    for (const pattern of ['a', 'b', 'c', 'd', 'e']) {
      versions.push(await writer.invalidate({ patterns: [pattern] }, 0))
    }
    const ledger = JSON.parse((await redis.get(layout.patterns)) ?? '') as {
      f: string
      p: [string, string][]
    }
    expect(ledger.p.map(([, pattern]) => pattern)).toEqual(['c', 'd', 'e'])
    expect(Number(ledger.f)).toBe(versions[1])
  })
})
