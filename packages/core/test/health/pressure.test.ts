import { createHealth, type EventLoopReading, type PressureLimits } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import { expect, test } from 'vitest'

function start(pressure: PressureLimits = {}) {
  const clock = new ManualClock()
  let reading: EventLoopReading = { delayMs: 0, utilization: 0 }
  const probe = { take: () => reading, [Symbol.dispose]: () => {} }
  const health = createHealth({ clock, pressure, eventLoop: { probe, maxDelayMs: 60_000 } })
  const set = async (next: Partial<EventLoopReading>) => {
    reading = { delayMs: 0, utilization: 0, ...next }
    await clock.advance(1_000)
  }
  return { clock, health, set }
}

test('pressure is the share of its limit of the worst source', async () => {
  const { health, set } = start({ maxDelayMs: 200, maxUtilization: 0.5, maxHeapRatio: 1 })
  await set({ delayMs: 100, utilization: 0.45 })
  const reading = health.pressure()
  expect(reading.level).toBeCloseTo(0.9)
  expect(reading.sources.map(({ name }) => name)).toEqual([
    'event-loop-utilization',
    'event-loop-delay',
    'heap',
  ])
  expect(reading.sources[1]).toMatchObject({ level: 0.5, detail: 'the event loop is 100 ms late' })
  expect(reading.reasons).toEqual(['the event loop is 45 % busy'])
})

test('pressure does not go beyond 1', async () => {
  const { health, set } = start()
  await set({ delayMs: 10_000, utilization: 1 })
  expect(health.pressure().level).toBe(1)
})

test('the heap of this process presses by its share of what V8 allows', () => {
  const { health } = start({ maxHeapRatio: 1e-6 })
  const { level, reasons } = health.pressure()
  expect(level).toBe(1)
  expect(reasons).toEqual([expect.stringMatching(/^the heap is \d+(\.\d)? % full$/)])
})

test('a source of one’s own counts until it is taken out', () => {
  const { health } = start()
  using source = health.addPressure('queue', () => 0.95)
  expect(health.pressure()).toMatchObject({ level: 0.95, reasons: ['queue is at 95 %'] })
  source[Symbol.dispose]()
  expect(health.pressure().level).toBeLessThan(0.95)
})

test.each([
  ['NaN', () => Number.NaN, 0],
  ['less than nothing', () => -3, 0],
  ['more than all', () => 7, 1],
])('a source that reads %s is clamped', (_, read, level) => {
  const { health } = start()
  health.addPressure('odd', read)
  const source = health.pressure().sources.find(({ name }) => name === 'odd')
  expect(source?.level).toBe(level)
})

test('a source that throws presses with 0 and says why, without secrets', () => {
  const { health } = start()
  health.addPressure('broken', () => {
    throw new Error('no redis://:hunter2@cache')
  })
  const source = health.pressure().sources.find(({ name }) => name === 'broken')
  expect(source).toMatchObject({
    level: 0,
    detail: 'broken could not be read: no redis://***@cache',
  })
})

test('two sources cannot have one name', () => {
  const { health } = start()
  health.addPressure('queue', () => 0)
  const message = 'name of a pressure source must be unique'
  expect(() => health.addPressure('queue', () => 0)).toThrow(message)
  expect(() => health.addPressure('heap', () => 0)).toThrow(message)
})

test('readiness sheds load from shedAt on and takes it again below resumeAt only', async () => {
  const { clock, health } = start({ shedAt: 0.9, resumeAt: 0.5 })
  let level = 0.89
  health.addPressure('queue', () => level)
  await clock.advance(1_000)
  expect(health.report('readiness').isOk).toBe(true)
  level = 0.9
  await clock.advance(1_000)
  expect(health.report('readiness')).toMatchObject({
    isOk: false,
    reason: 'pressure: pressure is 90 %: queue is at 90 %',
  })
  level = 0.5
  await clock.advance(5_000)
  expect(health.report('readiness').isOk).toBe(false)
  level = 0.49
  await clock.advance(1_000)
  expect(health.report('readiness').isOk).toBe(true)
})

test('liveness does not look at pressure', async () => {
  const { clock, health } = start({ shedAt: 0.9 })
  health.addPressure('queue', () => 1)
  await clock.advance(60_000)
  expect(health.report('readiness').isOk).toBe(false)
  expect(health.report('liveness').isOk).toBe(true)
})

test.each([
  [{ maxDelayMs: 0 }, 'pressure.maxDelayMs'],
  [{ maxUtilization: 1.1 }, 'pressure.maxUtilization'],
  [{ maxHeapRatio: 0 }, 'pressure.maxHeapRatio'],
  [{ shedAt: 0 }, 'pressure.shedAt'],
  [{ shedAt: 0.5, resumeAt: 0.6 }, 'pressure.resumeAt'],
])('pressure limits %o are refused', (limits, named) => {
  expect(() => start(limits)).toThrow(RangeError)
  expect(() => start(limits)).toThrow(named)
})
