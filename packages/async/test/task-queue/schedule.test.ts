import { createTaskQueue, defineTask, memory, type ScheduleOptions } from '@dharma/async/task-queue'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { lastDue, nextDue } from '../../src/task-queue/schedule/schedule-spec.ts'

/** A queue whose only worker notes when schedules wanted it to run. */
function scheduled(startMs: number) {
  const clock = new ManualClock({ startMs })
  const engine = memory({ clock })
  const due: string[] = []
  const tick = defineTask({
    name: 'tick',
    input: z.string(),
    run: (_, { dueMs }) => void due.push(new Date(dueMs ?? 0).toISOString()),
  })
  const open = () => createTaskQueue({ engine, clock })
  return { clock, engine, due, tick, open }
}

const at = (text: string): number => Date.parse(text)

describe('schedules', () => {
  it('make a job at each time of an interval', async () => {
    const { clock, due, tick, open } = scheduled(at('2026-01-01T00:00:00Z'))
    await using queue = open()
    queue.work([tick])
    await queue.schedule('each', tick, 'x', { everyMs: 10_000 })
    await clock.advance(9_999)
    expect(due).toEqual([])
    await clock.advance(20_001)
    expect(due).toEqual([
      '2026-01-01T00:00:10.000Z',
      '2026-01-01T00:00:20.000Z',
      '2026-01-01T00:00:30.000Z',
    ])
  })

  it('are not doubled by several schedulers, nor by being made again', async () => {
    const { clock, engine, due, tick } = scheduled(at('2026-01-01T00:00:00Z'))
    // One engine for all, as one Redis: closed once at the end.
    const close = engine.close.bind(engine)
    engine.close = async () => {}
    const queues = [1, 2, 3].map(() => createTaskQueue({ engine, clock }))
    for (const queue of queues) {
      queue.work([tick])
      await queue.schedule('each', tick, 'x', { cron: '* * * * *' })
    }
    await clock.advance(5 * 60_000)
    expect(due).toHaveLength(5)
    expect(new Set(due).size).toBe(5)
    await queues[0]?.close()
    await clock.advance(60_000)
    const restarted = createTaskQueue({ engine, clock })
    await restarted.schedule('each', tick, 'x', { cron: '* * * * *' })
    await clock.advance(60_000)
    expect(due).toHaveLength(7)
    for (const queue of [...queues, restarted]) await queue.close()
    await close()
    expect(clock.pendingTimers).toBe(0)
  })

  it.each([
    ['one', ['2026-01-01T03:00:00.000Z']],
    ['skip', []],
  ] as const)('make up for what was missed as told: %s', async (missed, expected) => {
    const { clock, engine, due, tick } = scheduled(at('2026-01-01T00:30:00Z'))
    const close = engine.close.bind(engine)
    engine.close = async () => {}
    const first = createTaskQueue({ engine, clock })
    await first.schedule('hourly', tick, 'x', { cron: '0 * * * *', missed })
    await first.close()
    await clock.advance(3 * 3_600_000)
    const second = createTaskQueue({ engine, clock })
    second.work([tick])
    await clock.advance(10)
    expect(due).toEqual(expected)
    await clock.advance(30 * 60_000)
    expect(due.at(-1)).toBe('2026-01-01T04:00:00.000Z')
    await second.close()
    await close()
  })

  it('keep the wall clock of their time zone when clocks change', async () => {
    const options = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' }
    for (const [start, expected] of [
      // 02:30 does not exist on the 29th of March: right after the gap, at 03:00.
      ['2026-03-29T00:00:00Z', ['2026-03-29T01:00:00.000Z']],
      // On the 25th of October it exists twice: once.
      ['2026-10-25T00:00:00Z', ['2026-10-25T00:30:00.000Z']],
    ] as const) {
      const { clock, due, tick, open } = scheduled(at(start))
      await using queue = open()
      queue.work([tick])
      await queue.schedule('night', tick, 'x', options)
      await clock.advance(3 * 3_600_000)
      expect(due).toEqual(expected)
    }
  })

  it('run every hour through both changes', async () => {
    for (const start of ['2026-03-28T20:30:00Z', '2026-10-24T20:30:00Z']) {
      const { clock, due, tick, open } = scheduled(at(start))
      await using queue = open()
      queue.work([tick])
      await queue.schedule('hourly', tick, 'x', { cron: '0 * * * *', timeZone: 'Europe/Berlin' })
      await clock.advance(12 * 3_600_000)
      expect(due).toHaveLength(12)
    }
  })

  it('make no job while the one before is unfinished, if told so', async () => {
    const { clock, engine, tick, open } = scheduled(at('2026-01-01T00:00:00Z'))
    await using queue = open()
    await queue.schedule('slow', tick, 'x', { everyMs: 1_000, overlap: 'skip' })
    await queue.schedule('fast', tick, 'x', { everyMs: 1_000 })
    await clock.advance(3_000)
    expect(await engine.counts('default')).toMatchObject({ waiting: 4 })
  })

  it('end at their last time, are listed, and can be removed', async () => {
    const { clock, due, tick, open } = scheduled(at('2026-01-01T00:00:00Z'))
    await using queue = open()
    queue.work([tick])
    const endAt = new Date('2026-01-01T00:00:02.500Z')
    await queue.schedule('short', tick, 'x', { everyMs: 1_000, endAt })
    await queue.schedule('gone', tick, 'x', { everyMs: 1_000, startAt: new Date(clock.now()) })
    expect(await queue.schedules()).toMatchObject([{ id: 'gone' }, { id: 'short' }])
    expect(await queue.unschedule('gone')).toBe(true)
    expect(await queue.unschedule('gone')).toBe(false)
    await clock.advance(10_000)
    expect(due).toEqual(['2026-01-01T00:00:01.000Z', '2026-01-01T00:00:02.000Z'])
    const [left] = await queue.schedules()
    expect(left?.nextMs).toBeUndefined()
  })

  it('take a change of their times at once', async () => {
    const { clock, due, tick, open } = scheduled(at('2026-01-01T00:00:00Z'))
    await using queue = open()
    queue.work([tick])
    await queue.schedule('changing', tick, 'x', { everyMs: 3_600_000 })
    await queue.schedule('changing', tick, 'x', { everyMs: 1_000 })
    await clock.advance(1_000)
    expect(due).toEqual(['2026-01-01T00:00:01.000Z'])
  })

  const wrong: [string, ScheduleOptions][] = [
    ['either cron or everyMs', {}],
    ['either cron or everyMs', { cron: '* * * * *', everyMs: 1_000 }],
    ['everyMs', { everyMs: 10 }],
    ['cron', { cron: '61 * * * *' }],
    ['timeZone', { cron: '1 * * * *', timeZone: 'Mars/Olympus' }],
  ]
  it.each(wrong)('name what is wrong: %s', async (message, options) => {
    const { tick, open } = scheduled(0)
    await using queue = open()
    await expect(queue.schedule('s', tick, 'x', options)).rejects.toThrow(RangeError)
    await expect(queue.schedule('s', tick, 'x', options)).rejects.toThrow(message)
  })
})

describe('due times', () => {
  it('follow the wall clock over its changes', () => {
    const timing = { cron: '30 2 * * *', timeZone: 'Europe/Berlin', startMs: 0 }
    const after = (start: string, count: number): string[] => {
      const due = [at(start)]
      for (let night = 0; night < count; night++) due.push(nextDue(timing, due.at(-1) ?? 0) ?? 0)
      return due.slice(1).map((ms) => new Date(ms).toISOString().slice(0, 16))
    }
    expect(after('2026-03-28T12:00:00Z', 2)).toEqual(['2026-03-29T01:00', '2026-03-30T00:30'])
    expect(after('2026-10-24T12:00:00Z', 2)).toEqual(['2026-10-25T00:30', '2026-10-26T01:30'])
  })

  const moments = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') })
  const zones = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC')

  it('of a fixed time of day come once a day in every time zone, whatever its clocks do', () => {
    fc.assert(
      fc.property(moments, zones, fc.integer({ min: 0, max: 23 }), (fromMs, timeZone, hour) => {
        const timing = { cron: `30 ${hour} * * *`, timeZone, startMs: 0 }
        const days = new Set<string>()
        let dueMs = fromMs
        for (let count = 0; count < 10; count++) {
          const next = nextDue(timing, dueMs)
          expect(next).toBeGreaterThan(dueMs)
          dueMs = next ?? 0
          days.add(new Intl.DateTimeFormat('sv', { timeZone }).format(dueMs))
        }
        expect(days.size).toBe(10)
      }),
      { numRuns: 60 },
    )
  })

  it('up to a moment end with the last one before it', () => {
    const patterns = fc.constantFrom('*/7 * * * *', '30 2 * * *', '0 0 1 * *', '15,45 3-5 * * 1')
    fc.assert(
      fc.property(
        moments,
        fc.integer({ min: 0, max: 20 * 86_400_000 }),
        patterns,
        zones,
        (fromMs, spanMs, cron, timeZone) => {
          const timing = { cron, timeZone, startMs: 0 }
          const first = nextDue(timing, fromMs)
          if (first === undefined) throw new Error('these patterns never end')
          const untilMs = first + spanMs
          const last = lastDue(timing, first, untilMs)
          expect(last).toBeLessThanOrEqual(untilMs)
          expect(nextDue(timing, last)).toBeGreaterThan(untilMs)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('of an interval lie on its grid', () => {
    const intervals = fc.integer({ min: 1_000, max: 1e9 })
    fc.assert(
      fc.property(moments, intervals, fc.nat(1e10), (startMs, everyMs, laterMs) => {
        const after = startMs + laterMs
        const next = nextDue({ everyMs, startMs }, after) ?? 0
        expect((next - startMs) % everyMs).toBe(0)
        expect(next).toBeGreaterThan(after)
        expect(next).toBeLessThanOrEqual(after + everyMs)
        const last = lastDue({ everyMs, startMs }, next, next + everyMs * 3.5)
        expect(last).toBe(next + 3 * everyMs)
        expect(nextDue({ everyMs, startMs }, startMs - 1 - laterMs)).toBe(startMs)
      }),
    )
  })
})
