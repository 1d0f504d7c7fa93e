import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LoadWindow } from '../../src/connection-pool-manager/load-window.ts'
import {
  ScalingLaw,
  type ScalingDecision,
  type ScalingObservation,
} from '../../src/connection-pool-manager/scaling-law.ts'

const LOOK_MS = 250
const CALM: ScalingObservation = {
  elapsedMs: LOOK_MS,
  arrivals: 25,
  waitP95Ms: 0,
  serviceMs: 10,
  leased: 1,
  ceiling: 100,
  wasRefused: false,
}
const BUSY: ScalingObservation = { ...CALM, leased: 10, waitP95Ms: 50 }

function looks(law: ScalingLaw, count: number, seen: ScalingObservation): ScalingDecision {
  let decision: ScalingDecision = { size: law.size, reason: 'steady' }
  for (let look = 0; look < count; look++) decision = law.observe(seen)
  return decision
}

/** A pool of `law.size` servers with a queue before it, replayed look by look on a clock of its own. */
class Replay {
  readonly law: ScalingLaw
  readonly #clock = new ManualClock()
  readonly #window: LoadWindow
  #queue: { readonly sinceMs: number }[] = []
  #busy: { readonly endMs: number; readonly tookMs: number }[] = []
  #debt = 0

  constructor(law: ScalingLaw) {
    this.law = law
    this.#window = new LoadWindow(0)
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** Runs for a while and returns the largest size it came to. */
  async run(
    forMs: number,
    { perSecond, serviceMs }: { perSecond: number; serviceMs: (busy: number) => number },
    ceiling = 100,
  ): Promise<number> {
    let largest = this.law.size
    for (let ms = 1; ms <= forMs; ms++) {
      await this.#clock.advance(1)
      this.#step(perSecond, serviceMs)
      if (ms % LOOK_MS !== 0) continue
      const leased = this.#busy.length
      const sample = this.#window.take(this.#clock.monotonicMs())
      this.law.observe({ ...sample, leased, ceiling, wasRefused: false })
      largest = Math.max(largest, this.law.size)
    }
    return largest
  }

  #step(perSecond: number, serviceMs: (busy: number) => number): void {
    const nowMs = this.#clock.monotonicMs()
    this.#debt += perSecond / 1_000
    for (; this.#debt >= 1; this.#debt -= 1) this.#queue.push(this.#window.asked(nowMs))
    const ended = this.#busy.filter(({ endMs }) => endMs <= nowMs)
    for (const { tookMs } of ended) this.#window.served(tookMs)
    this.#busy = this.#busy.filter(({ endMs }) => endMs > nowMs)
    while (this.#queue.length > 0 && this.#busy.length < this.law.size) {
      const entry = this.#queue.shift()
      if (entry !== undefined) this.#window.got(entry, nowMs)
      const tookMs = serviceMs(this.#busy.length + 1)
      this.#busy.push({ endMs: nowMs + tookMs, tookMs })
    }
  }
}

describe('ScalingLaw', () => {
  it('grows at the second look at which callers wait, by half at most', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 10)
    expect(law.observe({ ...BUSY, arrivals: 5_000 })).toEqual({ size: 10, reason: 'steady' })
    expect(law.observe({ ...BUSY, arrivals: 5_000 })).toEqual({ size: 15, reason: 'waiting' })
    expect(law.observe(CALM)).toEqual({ size: 15, reason: 'steady' })
  })

  it('does not take for a wait what is short beside the service', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 10)
    expect(looks(law, 10, { ...BUSY, serviceMs: 1_000, waitP95Ms: 150 }).size).toBe(10)
    expect(looks(law, 10, { ...BUSY, serviceMs: 1, waitP95Ms: 4 }).size).toBe(10)
  })

  it('does not grow while the server itself is slower than it was', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 10)
    looks(law, 4, CALM)
    expect(looks(law, 4, { ...BUSY, serviceMs: 14 })).toEqual({ size: 10, reason: 'saturated' })
    expect(looks(law, 2, BUSY).reason).toBe('waiting')
  })

  it('takes a heavier workload for normal after some minutes', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 10)
    looks(law, 4, CALM)
    const heavier = { ...BUSY, serviceMs: 20, waitP95Ms: 100 }
    expect(looks(law, 8, heavier).reason).toBe('saturated')
    expect(looks(law, 400, heavier).size).toBeGreaterThan(10)
  })

  it('shrinks by a sixth after each half minute under half use, down to what is needed', () => {
    const law = new ScalingLaw({ min: 2, max: 100 }, 40)
    expect(looks(law, 120, CALM)).toEqual({ size: 40, reason: 'steady' })
    expect(looks(law, 1, CALM)).toEqual({ size: 34, reason: 'idle' })
    looks(law, 60 * 120, CALM)
    expect(law.size).toBe(2)
  })

  it('tries a tenth less after a calm minute and takes it back at the first wait', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 20)
    const used = { ...CALM, leased: 12 }
    expect(looks(law, 240, used)).toEqual({ size: 18, reason: 'probe' })
    expect(looks(law, 1, { ...used, waitP95Ms: 20 })).toEqual({ size: 20, reason: 'probe failed' })
    // Next time after twice as long.
    expect(looks(law, 479, used)).toEqual({ size: 20, reason: 'steady' })
    expect(looks(law, 1, used)).toEqual({ size: 18, reason: 'probe' })
    expect(looks(law, 240, used)).toEqual({ size: 16, reason: 'probe' })
  })

  it('halves when the server has no place, once until it has cooled, for longer each time', () => {
    const law = new ScalingLaw({ min: 1, max: 100 }, 40)
    const refused = { ...BUSY, wasRefused: true }
    expect(law.observe(refused)).toEqual({ size: 20, reason: 'refused' })
    expect(looks(law, 19, refused).size).toBe(20)
    expect(looks(law, 1, refused).size).toBe(10)
    // Cool for 10 s now, in which nothing grows.
    expect(looks(law, 39, BUSY).size).toBe(10)
    expect(looks(law, 2, BUSY).size).toBeGreaterThan(10)
  })

  it('goes down at once to a ceiling that sank, and up to it at most', () => {
    const law = new ScalingLaw({ min: 2, max: 100 }, 40)
    expect(law.observe({ ...CALM, ceiling: 12 })).toEqual({ size: 12, reason: 'ceiling' })
    expect(looks(law, 50, { ...BUSY, arrivals: 9_000, ceiling: 14 }).size).toBe(14)
    expect(law.observe({ ...CALM, ceiling: 0 }).size).toBe(2)
  })

  it('stays within its limits whatever it sees', () => {
    const observation = fc.record({
      elapsedMs: fc.nat(1_000),
      arrivals: fc.nat(10_000),
      waitP95Ms: fc.nat(10_000),
      serviceMs: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }), { nil: undefined }),
      leased: fc.nat(300),
      ceiling: fc.nat(300),
      wasRefused: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(observation, { maxLength: 300 }), fc.nat(60), (seen, start) => {
        const law = new ScalingLaw({ min: 3, max: 50 }, start)
        for (const each of seen) {
          const { size } = law.observe(each)
          expect(Number.isInteger(size)).toBe(true)
          expect(size).toBeGreaterThanOrEqual(3)
          expect(size).toBeLessThanOrEqual(Math.max(3, Math.min(50, each.ceiling)))
        }
      }),
    )
  })

  it.each([
    ['min', { min: 0, max: 5 }],
    ['max', { min: 3, max: 2 }],
  ])('names %s when it is out of range', (name, limits) => {
    expect(() => new ScalingLaw(limits, 1)).toThrow(name)
  })

  it('finds enough connections for a replayed load and gives them back after it', async () => {
    const replay = new Replay(new ScalingLaw({ min: 2, max: 100 }, 4))
    // 1,000 a second at 20 ms keep 20 connections busy.
    await replay.run(15_000, { perSecond: 1_000, serviceMs: () => 20 })
    expect(replay.law.size).toBeGreaterThanOrEqual(20)
    expect(replay.law.size).toBeLessThanOrEqual(40)
    expect(replay.waiting).toBeLessThan(20)
    await replay.run(240_000, { perSecond: 50, serviceMs: () => 20 })
    expect(replay.law.size).toBeLessThanOrEqual(10)
  })

  it('opens no connection in vain for a server that only gets slower by them', async () => {
    const replay = new Replay(new ScalingLaw({ min: 2, max: 100 }, 4))
    // Eight at once is all that this server can do; each further one slows down all.
    const serviceMs = (busy: number): number => Math.ceil(20 * Math.max(1, busy / 8))
    const largest = await replay.run(20_000, { perSecond: 800, serviceMs })
    expect(largest).toBeLessThanOrEqual(16)
  })
})

describe('LoadWindow', () => {
  it('counts those who still wait as far as they have come', () => {
    const window = new LoadWindow(0)
    window.asked(0)
    const second = window.asked(100)
    window.got(second, 110)
    window.served(7)
    expect(window.take(250)).toEqual({ elapsedMs: 250, arrivals: 2, waitP95Ms: 250, serviceMs: 7 })
    expect(window.take(500)).toEqual({
      elapsedMs: 250,
      arrivals: 0,
      waitP95Ms: 500,
      serviceMs: undefined,
    })
  })

  it('keeps a bounded number of waits, the latest ones among them', () => {
    const window = new LoadWindow(0)
    for (let index = 0; index < 5_000; index++) window.got(window.asked(0), index < 4_000 ? 1 : 9)
    expect(window.take(10)).toMatchObject({ arrivals: 5_000, waitP95Ms: 9 })
    for (let index = 0; index < 5_000; index++) window.asked(10)
    expect(window.take(30)).toMatchObject({ arrivals: 5_000, waitP95Ms: 20 })
  })
})
