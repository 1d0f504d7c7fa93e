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
