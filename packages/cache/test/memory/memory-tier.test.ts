import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { estimateSizeBytes, MemoryTier } from '@dharma/cache/memory'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const LONG = { freshForMs: 1_000_000 }

describe('MemoryTier', () => {
  it('behaves like a map whose entries expire, whatever is done to it', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd')
    const step = fc.oneof(
      fc.record({ do: fc.constant('store' as const), key, ttl: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ do: fc.constant('remove' as const), key }),
      fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: 0, max: 30 }) }),
      fc.record({ do: fc.constant('hit' as const), key }),
    )
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new ManualClock()
        const tier = new MemoryTier({ clock, maxEntries: 10 })
        const model = new Map<string, { value: number; until: number }>()
        let now = 0
        let value = 0
        const seen: [unknown, unknown][] = []
        for (const one of steps) {
          if (one.do === 'store') {
            tier.store(one.key, ++value, { freshForMs: one.ttl })
            model.set(one.key, { value, until: now + one.ttl })
          } else if (one.do === 'remove') {
            tier.remove(one.key)
            model.delete(one.key)
          } else if (one.do === 'advance') {
            now += one.by
            await clock.advance(one.by)
          } else {
            const expected = model.get(one.key)
            const slot = tier.hit(one.key)
            const live = expected !== undefined && expected.until > now ? expected.value : undefined
            seen.push([slot >= 0 ? tier.valueAt(slot) : undefined, live])
          }
        }
        for (const [found, wanted] of seen) expect(found).toBe(wanted)
      }),
      { numRuns: 60 },
    )
  })

  it('never holds more entries than it may, and never loses one without evicting', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 400 }),
        fc.integer({ min: 1, max: 20 }),
        (keys, maxEntries) => {
          const tier = new MemoryTier({ maxEntries })
          const stored = new Set<string>()
          for (const key of keys) {
            if (tier.hit(`k${key}`) < 0) tier.store(`k${key}`, key, LONG)
            stored.add(`k${key}`)
            expect(tier.size).toBeLessThanOrEqual(maxEntries)
          }
          const held = [...stored].filter((key) => tier.hit(key) >= 0)
          expect(held.length).toBe(tier.size)
        },
      ),
    )
  })

  it('stays within its bytes, and refuses a value that alone is larger', () => {
    const tier = new MemoryTier({ maxBytes: 10_000 })
    for (let index = 0; index < 100; index++) {
      tier.store(`k${index}`, 'x', { ...LONG, sizeBytes: 900 })
      expect(tier.sizeBytes).toBeLessThanOrEqual(10_000)
    }
    expect(tier.size).toBe(10)
    tier.store('large', 'x', { ...LONG, sizeBytes: 20_000 })
    expect(tier.hit('large')).toBe(-1)
    tier.clear()
    expect([tier.size, tier.sizeBytes]).toEqual([0, 0])
  })

  it('drops an entry when one of its tags is invalidated, and counts its references', () => {
    const tag = { name: 't', version: 0, epoch: 0, references: 0 }
    const tier = new MemoryTier()
    tier.store('a', 1, { ...LONG, tags: [tag], stamp: 5 })
    expect(tag.references).toBe(1)
    expect(tier.hit('a')).toBeGreaterThanOrEqual(0)
    tag.epoch = 6
    expect(tier.hit('a')).toBe(-1)
    expect(tier.find('a')).toBe(-1)
    expect([tier.size, tag.references]).toEqual([0, 0])
  })

  it('tells fresh, stale and kept apart', async () => {
    const clock = new ManualClock()
    const tier = new MemoryTier({ clock })
    tier.store('a', 1, { freshForMs: 10, serveForMs: 20, keepForMs: 30 })
    const phases: string[] = []
    for (let step = 0; step < 4; step++) {
      const slot = tier.find('a')
      phases.push(slot < 0 ? 'gone' : tier.freshnessAt(slot))
      await clock.advance(10)
    }
    expect(phases).toEqual(['fresh', 'stale', 'kept', 'gone'])
  })

  it('keeps its times when the process runs for months', async () => {
    const clock = new ManualClock()
    const tier = new MemoryTier({ clock })
    await clock.advance(2 ** 31 - 500)
    tier.store('a', 1, { freshForMs: 1_000 })
    tier.store('forever', 1, { freshForMs: Number.POSITIVE_INFINITY })
    await clock.advance(800)
    tier.find('a')
    expect(tier.hit('a')).toBeGreaterThanOrEqual(0)
    await clock.advance(200)
    expect(tier.hit('a')).toBe(-1)
    expect(tier.hit('forever')).toBeGreaterThanOrEqual(0)
  })

  it.each([
    ['maxEntries', { maxEntries: 0 }],
    ['maxBytes', { maxBytes: -1 }],
  ])('refuses a wrong %s by name', (name, options) => {
    expect(() => new MemoryTier(options)).toThrow(new RegExp(`^${name} must be between`))
  })

  it('gives the same promise for the same entry', async () => {
    const tier = new MemoryTier()
    tier.store('a', 1, LONG)
    const slot = tier.hit('a')
    expect(tier.promiseAt(slot)).toBe(tier.promiseAt(slot))
    await expect(tier.promiseAt(slot)).resolves.toBe(1)
  })
})

describe('estimateSizeBytes', () => {
  it('grows with what a value holds and ends on cycles', () => {
    const cyclic: Record<string, unknown> = { a: 'x'.repeat(100) }
    cyclic['self'] = cyclic
    expect(estimateSizeBytes(cyclic)).toBeGreaterThan(100)
    expect(estimateSizeBytes(Buffer.alloc(5_000))).toBeGreaterThanOrEqual(5_000)
    expect(estimateSizeBytes(new Map([['k', new Set([1n, true])]]))).toBeGreaterThan(50)
    expect(estimateSizeBytes(Array.from({ length: 50_000 }, () => 1))).toBeGreaterThan(300_000)
    expect(estimateSizeBytes(null)).toBe(8)
  })
})

/** Hit ratio of a tier over a sequence of keys. */
function hitRatio(keys: readonly number[], maxEntries: number): number {
  const tier = new MemoryTier({ maxEntries })
  let hits = 0
  for (const key of keys) {
    if (tier.hit(String(key)) >= 0) hits++
    else tier.store(String(key), key, LONG)
  }
  return hits / keys.length
}

function lruHitRatio(keys: readonly number[], maxEntries: number): number {
  const lru = new Set<number>()
  let hits = 0
  for (const key of keys) {
    if (lru.delete(key)) hits++
    else if (lru.size >= maxEntries) {
      for (const oldest of lru) {
        lru.delete(oldest)
        break
      }
    }
    lru.add(key)
  }
  return hits / keys.length
}

/** Zipf-distributed keys with a fixed seed. */
function zipf(
  count: number,
  keys: number,
  skew: number,
  shiftEvery = Number.POSITIVE_INFINITY,
): number[] {
  const cumulative: number[] = []
  let sum = 0
  for (let rank = 1; rank <= keys; rank++) cumulative.push((sum += rank ** -skew))
  let seed = 42
  return Array.from({ length: count }, (_, index) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const wanted = (seed / 2 ** 32) * sum
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return (low + Math.floor(index / shiftEvery) * 1_000) % keys
  })
}

describe('hit ratio', () => {
  it('is at least eight points above LRU on Zipf 0.99 with room for 1 % of the keys', () => {
    const keys = zipf(300_000, 50_000, 0.99)
    expect(hitRatio(keys, 500) - lruHitRatio(keys, 500)).toBeGreaterThan(0.08)
  })

  it('is not more than a point below LRU where popularity shifts', () => {
    const keys = zipf(300_000, 50_000, 0.99, 20_000)
    expect(hitRatio(keys, 2_500)).toBeGreaterThan(lruHitRatio(keys, 2_500) - 0.01)
  })

  const folder = new URL('../../../../../shared/data/traces/', import.meta.url)
  const traces = existsSync(folder) ? ['web07', 'multi2', 'sprite', 'loop'] : []
  if (traces.length === 0) {
    process.stderr.write('\n!!! NO ACCESS TRACES: HIT RATIOS ARE TESTED ON ZIPF ONLY !!!\n\n')
  }

  it.each(traces)('is near or above LRU on trace %s', async (name) => {
    const text = gunzipSync(await readFile(new URL(`${name}.trace.gz`, folder))).toString()
    const keys = text.trim().split('\n').map(Number)
    const distinct = new Set(keys).size
    for (const share of [0.01, 0.1, 0.3]) {
      const room = Math.max(1, Math.round(distinct * share))
      expect(hitRatio(keys, room)).toBeGreaterThan(lruHitRatio(keys, room) - 0.01)
    }
  })
})
