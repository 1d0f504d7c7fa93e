import { describe, expect, it } from 'vitest'
import { LaneSizer } from '../../../src/postgres/pipeline/lane-sizer.ts'

/** Lets the sizer watch a lane whose rate depends on its size alone. */
function watch(sizer: LaneSizer, rateOf: (size: number) => number, windows: number): number[] {
  const sizes: number[] = []
  for (let window = 0; window < windows; window++) {
    sizer.observe({ answersPerSecond: rateOf(sizer.size), meanInFlight: 32 })
    sizes.push(sizer.size)
  }
  return sizes
}

describe('LaneSizer', () => {
  it('begins with two connections, or the one it may have', () => {
    expect(new LaneSizer(4).size).toBe(2)
    expect(new LaneSizer(1).size).toBe(1)
  })

  it('grows while more connections answer more', () => {
    const sizes = watch(new LaneSizer(4), (size) => size * 1_000, 200)
    expect(sizes.slice(20, 40)).toEqual(Array.from({ length: 20 }, () => 4))
  })

  it('shrinks where fewer connections do as well', () => {
    const sizes = watch(new LaneSizer(4), () => 1_000, 400)
    expect(sizes.filter((size) => size === 1).length).toBeGreaterThan(300)
  })

  it('stays with the best number most of the time', () => {
    const rates = [0, 500, 1_000, 1_200, 900]
    const sizes = watch(new LaneSizer(4), (size) => rates[size] ?? 0, 1_000)
    expect(sizes.filter((size) => size === 3).length).toBeGreaterThan(850)
  })

  it('tries nothing while there is little to do', () => {
    const sizer = new LaneSizer(4)
    for (let window = 0; window < 100; window++) {
      sizer.observe({ answersPerSecond: 100, meanInFlight: 1 })
    }
    expect(sizer.size).toBe(2)
  })

  it('never leaves its limits', () => {
    const sizes = watch(new LaneSizer(3), (size) => size * 10, 500)
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(3)
  })
})
