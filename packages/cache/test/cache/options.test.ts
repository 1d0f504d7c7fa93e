import { createCache, type Cache, type CacheOptions } from '@dharma/cache'
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

describe('values and options', () => {
  it('gives copies or frozen values if told', async () => {
    const { cache: cloning } = setup({ memory: { values: 'clone' } })
    const own = { list: [1] }
    await cloning.set('k', own)
    own.list.push(2)
    const copy = await cloning.get<{ list: number[] }>('k')
    copy?.list.push(3)
    expect(cloning.peek('k')).toEqual({ list: [1] })
    const { cache: freezing } = setup({ memory: { values: 'freeze' } })
    const frozen = await freezing.getOrLoad('k', () => ({ list: [1] }))
    expect(() => frozen.list.push(2)).toThrow(TypeError)
  })

  it.each([
    [{ namespace: 'a b' }, /^namespace must be/],
    [{ timeoutMs: 0 }, /^timeoutMs must be a number from 1/],
    [{ defaults: { ttlMs: -1 } }, /^ttlMs must be a number from 1/],
    [{ redis: 'http://x' }, /^redis must be a URL/],
    [{ redis: { mode: 'sentinel', sentinels: [], name: 'm' } }, /sentinels must not be empty/],
    [{ redis: { mode: 'cluster', nodes: [] } }, /nodes must not be empty/],
    [{ redis: { mode: 'ring' } }, /mode must be/],
  ])('refuses wrong options by name: %#', (options, message) => {
    expect(() => createCache({ namespace: 'n', ...(options as object) })).toThrow(message)
  })

  it('refuses keys that are none, and work after it was closed', async () => {
    const { cache } = setup()
    await expect(cache.get('')).rejects.toThrow(RangeError)
    await expect(cache.set(5 as never, 1)).rejects.toThrow(TypeError)
    await cache.close()
    await expect(cache.getOrLoad('k', () => 1)).rejects.toThrow('is closed')
    await expect(cache.clear()).rejects.toThrow('is closed')
  })

  it('leaves no timer behind', async () => {
    const { cache, clock } = setup()
    void cache.getOrLoad('k', () => new Promise(() => {})).catch(() => undefined)
    await cache.close()
    expect(clock.pendingTimers).toBe(0)
  })
})
