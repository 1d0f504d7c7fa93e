import { describe, expect, it } from 'vitest'
import { GhostTable, hashKey } from '../../src/memory/ghost-table.ts'
import { isSampled, ReplacementDuel, sampleBits } from '../../src/memory/replacement-duel.ts'
import { zipf } from './replacement/workloads.ts'

function duelAfter(reads: Iterable<number>, entries = 500): ReplacementDuel {
  const duel = ReplacementDuel.begin(entries, 0)
  if (duel === undefined) throw new Error('a duel of all keys always begins')
  for (const key of reads) duel.read(hashKey(String(key)))
  return duel
}

describe('ReplacementDuel', () => {
  it('favours what was read often where popularity stays', () => {
    expect(duelAfter(zipf(60_000, 20_000, 0.99)).favoursRecency).toBe(false)
  })

  it('favours what was read last where popularity shifts fast', () => {
    expect(duelAfter(zipf(100_000, 50_000, 0.99, 5_000), 2_500).favoursRecency).toBe(true)
  })

  it('changes its mind when the reads change', () => {
    const duel = duelAfter(zipf(100_000, 50_000, 0.99, 5_000), 2_500)
    for (const key of zipf(120_000, 20_000, 0.99)) duel.read(hashKey(String(key)))
    expect(duel.favoursRecency).toBe(false)
  })

  it('looks at about as many keys as tell something, however large the cache is', () => {
    for (const entries of [100, 5_000, 50_000, 1_000_000]) {
      const bits = sampleBits(entries)
      const room = entries / 2 ** bits
      expect(room).toBeGreaterThanOrEqual(Math.min(entries, 180))
      expect(room).toBeLessThan(370)
      let sampled = 0
      for (let key = 0; key < 100_000; key++) {
        if (isSampled(hashKey(`user:${key}`), bits)) sampled++
      }
      expect((sampled / 100_000) * 2 ** bits).toBeCloseTo(1, 0)
    }
  })

  it('does not begin where the sample would tell nothing', () => {
    expect(ReplacementDuel.begin(1_000, sampleBits(50_000))).toBeUndefined()
    expect(ReplacementDuel.begin(10, sampleBits(10))).toBeDefined()
  })
})

describe('GhostTable', () => {
  const hash = (key: number): number => hashKey(`ghost:${key}`)

  it('knows what was evicted lately, once', () => {
    const table = new GhostTable(100)
    expect(table.take(hash(1))).toBe(false)
    table.add(hash(1))
    expect(table.take(hash(1))).toBe(true)
    expect(table.take(hash(1))).toBe(false)
  })

  it.each([1, 100, 5_000, 50_000])('forgets after a lifetime of %i evictions', (lifetime) => {
    const table = new GhostTable(lifetime)
    for (let key = 0; key < lifetime * 3; key++) table.add(hash(key))
    let [young, old] = [0, 0]
    for (let key = 0; key < lifetime; key++) if (table.take(hash(key))) old++
    for (let key = lifetime * 2 + 1; key < lifetime * 3; key++) if (table.take(hash(key))) young++
    expect(old).toBe(0)
    // Two keys may share a place, and a unit of turns ends early.
    expect(young).toBeGreaterThanOrEqual((lifetime - 1) * 0.7)
  })

  it('has forgotten all after many lifetimes', () => {
    const table = new GhostTable(64)
    for (let key = 0; key < 200_000; key++) table.add(hash(key))
    let known = 0
    for (let key = 0; key < 190_000; key++) if (table.take(hash(key))) known++
    expect(known).toBeLessThan(10)
  })
})
