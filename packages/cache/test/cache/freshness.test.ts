import { createCache, type Cache, type CacheOptions } from '@dharma/cache'
import { TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'

function setup(options: Partial<CacheOptions> = {}): { cache: Cache; clock: ManualClock } {
  const clock = new ManualClock()
  const cache = createCache({
    namespace: 'test',
    clock,
    random: () => 0.5,
    ...options,
    defaults: { jitterRatio: 0, ...options.defaults },
  })
  onTestFinished(() => cache.close())
  return { cache, clock }
}

/** A loader that counts its calls and answers when told. */
function gate<Value>(): {
  load: () => Promise<Value>
  resolve: (value: Value) => void
  reject: (error: Error) => void
  calls: () => number
} {
  let calls = 0
  let current = Promise.withResolvers<Value>()
  return {
    load: () => {
      calls++
      current = Promise.withResolvers<Value>()
      return current.promise
    },
    resolve: (value) => current.resolve(value),
    reject: (error) => current.reject(error),
    calls: () => calls,
  }
}

describe('freshness', () => {
  it('serves an entry for its TTL and loads anew after it', async () => {
    const { cache, clock } = setup()
    let calls = 0
    const load = (): number => ++calls
    expect(await cache.getOrLoad('k', load, { ttlMs: 100 })).toBe(1)
    await clock.advance(99)
    expect(await cache.getOrLoad('k', load, { ttlMs: 100 })).toBe(1)
    await clock.advance(1)
    expect(await cache.getOrLoad('k', load, { ttlMs: 100 })).toBe(2)
  })

  it('serves a stale value at once and reloads it once behind', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 100, staleMs: 50 } })
    await cache.set('k', 'old')
    await clock.advance(120)
    const source = gate<string>()
    expect(await cache.getOrLoad('k', source.load)).toBe('old')
    expect(await cache.getOrLoad('k', source.load)).toBe('old')
    expect(await cache.get('k')).toBe('old')
    expect(source.calls()).toBe(1)
    source.resolve('new')
    await clock.advance(0)
    expect(cache.peek('k')).toBe('new')
    expect(cache.stats().staleHits).toBe(3)
  })

  it('serves a value within its grace while the loader fails, and does not ask it at every read', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 100, graceMs: 10_000 } })
    await cache.set('k', 'old')
    await clock.advance(200)
    let calls = 0
    const fail = (): never => {
      calls++
      throw new Error('down')
    }
    expect(await cache.getOrLoad('k', fail)).toBe('old')
    expect(await cache.getOrLoad('k', fail)).toBe('old')
    expect(calls).toBe(1)
    await clock.advance(1_000)
    expect(await cache.getOrLoad('k', fail)).toBe('old')
    expect(calls).toBe(2)
    await clock.advance(20_000)
    await expect(cache.getOrLoad('k', fail)).rejects.toThrow('down')
  })

  it('does not serve an invalidated value, whatever its grace', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 100, graceMs: 10_000 } })
    await cache.set('k', 'old', { tags: ['t'] })
    await clock.advance(200)
    await cache.invalidateTags(['t'])
    await expect(cache.getOrLoad('k', () => Promise.reject(new Error('down')))).rejects.toThrow(
      'down',
    )
  })

  it('refreshes early, the earlier the longer the loader takes', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 1_000, earlyRefresh: 1 } })
    const first = cache.getOrLoad('k', async () => {
      await clock.sleep(100)
      return 'one'
    })
    await clock.advance(100)
    expect(await first).toBe('one')
    const source = gate<string>()
    // With 0.5 drawn: 100 ms · ln 2 = 69 ms before the end.
    await clock.advance(930)
    expect(await cache.getOrLoad('k', source.load)).toBe('one')
    expect(source.calls()).toBe(0)
    await clock.advance(5)
    expect(await cache.getOrLoad('k', source.load)).toBe('one')
    expect(source.calls()).toBe(1)
    source.resolve('two')
  })

  it('cuts a random part off the TTL', async () => {
    const { cache, clock } = setup()
    await cache.set('k', 1, { ttlMs: 100, jitterRatio: 0.4 })
    await clock.advance(79)
    expect(cache.peek('k')).toBe(1)
    await clock.advance(1)
    expect(cache.peek('k')).toBeUndefined()
  })

  it('remembers that there is nothing for the negative TTL', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 1_000, negativeTtlMs: 10 } })
    let calls = 0
    const nothing = (): undefined => {
      calls++
      return undefined
    }
    await cache.getOrLoad('k', nothing)
    await cache.getOrLoad('k', nothing)
    expect(calls).toBe(1)
    await clock.advance(10)
    await cache.getOrLoad('k', nothing)
    expect(calls).toBe(2)
  })

  it('does not remember undefined without a negative TTL, and null like any value', async () => {
    const { cache } = setup()
    let calls = 0
    const load = (value: null | undefined) => (): null | undefined => {
      calls++
      return value
    }
    await cache.getOrLoad('u', load(undefined))
    await cache.getOrLoad('u', load(undefined))
    await cache.getOrLoad('n', load(null))
    expect(await cache.getOrLoad('n', load(null))).toBeNull()
    expect(calls).toBe(3)
  })

  it('lets the loader set the TTL, add tags, or skip', async () => {
    const { cache, clock } = setup()
    await cache.getOrLoad('ttl', ({ setTtl }) => {
      setTtl(10)
      return 1
    })
    await cache.getOrLoad('tags', ({ setTags }) => {
      setTags(['late'])
      return 1
    })
    await cache.getOrLoad('skip', ({ skip }) => {
      skip()
      return 1
    })
    expect([cache.peek('ttl'), cache.peek('tags'), cache.peek('skip')]).toEqual([1, 1, undefined])
    await clock.advance(10)
    await cache.invalidateTags(['late'])
    expect([cache.peek('ttl'), cache.peek('tags')]).toEqual([undefined, undefined])
  })

  it('gives a stale value after the soft timeout while the load goes on', async () => {
    const { cache, clock } = setup({ defaults: { ttlMs: 100, graceMs: 1_000 } })
    await cache.set('k', 'old')
    await clock.advance(150)
    const source = gate<string>()
    const read = cache.getOrLoad('k', source.load, { softTimeoutMs: 20 })
    await clock.advance(20)
    expect(await read).toBe('old')
    source.resolve('new')
    await clock.advance(0)
    expect(cache.peek('k')).toBe('new')
  })

  it('ends a load at its hard timeout and aborts its signal', async () => {
    const { cache, clock } = setup()
    let signal: AbortSignal | undefined
    const read = cache.getOrLoad(
      'k',
      (context) => {
        ;({ signal } = context)
        return new Promise(() => {})
      },
      { loadTimeoutMs: 50 },
    )
    const outcome = read.catch((error: unknown) => error)
    await clock.advance(50)
    expect(await outcome).toBeInstanceOf(TimeoutError)
    expect(signal?.aborted).toBe(true)
  })
})

describe('single flight', () => {
  it('runs one loader for a thousand callers, and gives all its error', async () => {
    const { cache } = setup()
    const source = gate<string>()
    const reads = Array.from({ length: 1_000 }, () => cache.getOrLoad('k', source.load))
    await Promise.resolve()
    source.reject(new Error('boom'))
    const outcomes = await Promise.allSettled(reads)
    expect(source.calls()).toBe(1)
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
  })

  it.each([
    ['its key is deleted', (cache: Cache) => cache.delete('k')],
    ['its tag is invalidated', (cache: Cache) => cache.invalidateTags(['t'])],
    ['a pattern that matches is invalidated', (cache: Cache) => cache.invalidatePattern('k*')],
    ['everything is cleared', (cache: Cache) => cache.clear()],
    ['its key is written', (cache: Cache) => cache.set('k', 'new')],
  ])(
    'does not keep a load during which %s, and later callers do not get it',
    async (_, invalidate) => {
      const { cache } = setup()
      const old = gate<string>()
      const before = cache.getOrLoad('k', old.load, { tags: ['t'] })
      await Promise.resolve()
      await invalidate(cache)
      const after = cache.getOrLoad('k', () => 'new', { tags: ['t'] })
      old.resolve('old')
      expect(await before).toBe('old')
      expect(await after).toBe('new')
      expect(await cache.get('k')).toBe('new')
    },
  )

  it('does not keep a load whose late tag was invalidated meanwhile, nor give it to later callers', async () => {
    const { cache } = setup()
    const old = gate<string>()
    const before = cache.getOrLoad('k', ({ setTags }) => {
      setTags(['late'])
      return old.load()
    })
    await Promise.resolve()
    await cache.invalidateTags(['late'])
    const after = cache.getOrLoad('k', () => 'new')
    old.resolve('old')
    expect([await before, await after, cache.peek('k')]).toEqual(['old', 'new', 'new'])
  })

  it('lets one caller go without ending the load, and ends it when all have gone', async () => {
    const { cache } = setup()
    const first = new AbortController()
    const second = new AbortController()
    let signal: AbortSignal | undefined
    const load = (context: { signal: AbortSignal }): Promise<never> => {
      ;({ signal } = context)
      return new Promise(() => {})
    }
    const one = cache.getOrLoad('k', load, { signal: first.signal })
    const two = cache.getOrLoad('k', load, { signal: second.signal })
    first.abort(new Error('gone'))
    await expect(one).rejects.toThrow('gone')
    expect(signal?.aborted).toBe(false)
    second.abort(new Error('gone too'))
    await expect(two).rejects.toThrow('gone too')
    expect(signal?.aborted).toBe(true)
  })

  it('loads what is missing of many keys in one call', async () => {
    const { cache } = setup()
    await cache.set('a', 1)
    const calls: string[][] = []
    const loadMany = (keys: readonly string[]): Promise<Map<string, number>> => {
      calls.push([...keys])
      return Promise.resolve(new Map(keys.filter((key) => key !== 'none').map((key) => [key, 2])))
    }
    const values = await cache.getOrLoadMany(['a', 'b', 'c', 'none'], loadMany)
    expect(Object.fromEntries(values)).toEqual({ a: 1, b: 2, c: 2 })
    expect(calls).toEqual([['b', 'c', 'none']])
    expect(await cache.getMany(['a', 'b', 'c', 'none'])).toEqual(values)
  })

  it('remembers the results of a wrapped function', async () => {
    const { cache } = setup()
    let calls = 0
    const double = cache.wrap((n: number) => Promise.resolve(++calls && n * 2), {
      key: (n) => `double:${n}`,
    })
    expect([await double(2), await double(2), await double(3), calls]).toEqual([4, 4, 6, 2])
  })
})
