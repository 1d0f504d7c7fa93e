import {
  CrashLoopError,
  TaskTimeoutError,
  WorkerChannelError,
  WorkerExitError,
  WorkerMemoryError,
  type WorkerPool,
} from '@dharma/async/worker-pool'
import { DharmaError, TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'
import {
  FAILURE,
  HEAP,
  LATE,
  READY,
  START_FAILED,
  UNSENDABLE,
  VALUE,
} from '../../src/worker-pool/protocol.ts'
import { kinds, openPool, reasonOf, Reports, type Work } from './fixtures/open-pool.ts'
import { meet } from './fixtures/work.ts'
import { openMeeting } from './meeting.ts'

describe.each(kinds)('a task in a worker of kind %s', { timeout: 90_000 }, (kind) => {
  it('that throws gives its caller the error whole', async () => {
    await using pool = openPool(kind, { max: 1 })
    const error = (await reasonOf(pool.run('throwRich', []))) as TypeError & Record<string, unknown>
    expect(error).toBeInstanceOf(TypeError)
    expect(error.constructor.name).toBe('ShopError')
    expect(error).toMatchObject({
      name: 'TypeError',
      message: 'the shop is closed',
      code: 'SHOP_CLOSED',
      retryAfterMs: 50,
      details: { until: new Date(7) },
    })
    expect(error.stack).toContain('throwRich')
    const inside = (error['details'] as { by: unknown[] }).by[0]
    expect(inside).toBeInstanceOf(RangeError)
    const many = error.cause as AggregateError
    expect(many).toBeInstanceOf(AggregateError)
    expect(many.errors).toEqual([new Error('one'), 'two'])
    expect((many.cause as Error).cause).toBe(error)
    expect(pool.stats().workersStarted).toBe(1)
  })

  it('that throws an error of this library gives an instance of its class', async () => {
    await using pool = openPool(kind, { max: 1, errorClasses: [TimeoutError] })
    const error = await reasonOf(pool.run('throwTimeout', []))
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({ code: 'DHARMA_TIMEOUT', operation: 'the work', timeoutMs: 9 })
    await using plain = openPool(kind, { max: 1 })
    expect(await reasonOf(plain.run('throwTimeout', []))).toBeInstanceOf(DharmaError)
  })

  it.each([42, 'text', null, undefined, { a: [1] }])(
    'that throws %j gives just that',
    async (v) => {
      await using pool = openPool(kind, { max: 1 })
      expect(await reasonOf(pool.run('throwValue', [v]))).toEqual(v)
    },
  )

  it('that exits fails alone, and what waits behind it runs elsewhere', async () => {
    await using pool = openPool(kind, { max: 1 })
    await reasonOf(pool.run('exit', [0]))
    await Promise.all([1, 2, 3].map((x) => pool.run('add', [x, x])))
    const exit = reasonOf(pool.run('exit', [3]))
    const innocent = Array.from({ length: 50 }, (_, index) => pool.run('add', [index, 1]))
    expect(await exit).toBeInstanceOf(WorkerExitError)
    expect(await exit).toMatchObject({ exitCode: 3, task: 'exit', wasStarted: true })
    expect(await Promise.all(innocent)).toEqual(innocent.map((_, index) => index + 1))
  })

  it('that hangs is ended at its limit, and what was sent with it runs elsewhere', async () => {
    await using pool = openPool(kind, { max: 1, unresponsiveMs: 5 })
    let areTogether = false
    // Only what ran shortly is sent together, and how long it ran the machine decides too.
    for (let round = 1; !areTogether; round += 1) {
      for (let run = 0; run < 100; run += 1) await pool.run('sometimesLong', [0])
      const [hung, ...innocent] = Array.from({ length: 50 }, (_, index) =>
        pool.run('sometimesLong', [index === 0 ? 60_000 : 0], { timeoutMs: index === 0 ? 60 : 0 }),
      )
      await new Promise<void>((resolve) => process.nextTick(resolve))
      areTogether = pool.load().inFlight > 1
      expect(await reasonOf(hung ?? Promise.resolve())).toBeInstanceOf(TaskTimeoutError)
      expect(await Promise.all(innocent)).toEqual(innocent.map(() => 0))
      expect(pool.stats().outcomes).toMatchObject({ timedOut: round, crashed: 0 })
    }
    expect(pool.stats().moved).toBeGreaterThan(0)
  })

  it('that runs long without a limit does not hold up what was sent with it', async () => {
    await using pool = openPool(kind, { min: 2 })
    for (let run = 0; run < 100; run += 1) await pool.run('sometimesLong', [0])
    const controller = new AbortController()
    const { signal } = controller
    const long = reasonOf(pool.run('sometimesLong', [60_000], { signal }))
    const innocent = Array.from({ length: 100 }, () => pool.run('sometimesLong', [0]))
    expect(await Promise.all(innocent)).toHaveLength(100)
    controller.abort(new Error('enough'))
    expect(await long).toMatchObject({ message: 'enough' })
  })

  it('that exhausts its heap fails alone', async () => {
    await using pool = openPool(kind, { max: 1, resourceLimits: { maxHeapMb: 48 } })
    const error = await reasonOf(pool.run('exhaustHeap', []))
    expect(error).toBeInstanceOf(WorkerMemoryError)
    expect(error).toMatchObject({ heapLimitMb: 48, code: 'DHARMA_WORKER_MEMORY' })
    expect(await pool.run('add', [1, 2])).toBe(3)
  })

  it('that corrupts its channel fails alone', async () => {
    await using pool = openPool(kind, { max: 1 })
    const broken = reasonOf(pool.run('breakChannel', []))
    const innocent = pool.run('add', [1, 2])
    expect(await broken).toBeInstanceOf(WorkerChannelError)
    expect(await innocent).toBe(3)
  })

  it.each([
    ['a failure without a word', [FAILURE, 'ticket', 'slot', 1, undefined]],
    ['a failure of no errors', [FAILURE, 'ticket', 'slot', 1, { errors: 1, value: 1 }]],
    ['a refusal of nothing', [UNSENDABLE, 'ticket', 'slot', 1, null]],
    ['a value without its time', [VALUE, 'ticket', 'slot', null, 1]],
    ['a value of a task that is not there', [VALUE, 1_000_000, 'slot', 1, 1]],
    ['a late error that is none', [LATE, 5]],
    ['a start that failed for nothing', [START_FAILED, null]],
    ['a second start', [READY]],
    ['a heap of words', [HEAP, { bytes: 1 }]],
    ['nothing', []],
  ])('that forges %s for its pool fails alone', async (_name, message) => {
    await using pool = openPool(kind, { max: 1 })
    const forger = reasonOf(pool.run('forgeMessage', [message]))
    const innocent = pool.run('add', [1, 2])
    expect(await forger).toBeInstanceOf(WorkerChannelError)
    expect(await innocent).toBe(3)
    expect(pool.stats().workersStarted).toBe(2)
  })

  it('that throws beside its promise fails with that error', async () => {
    const reports = new Reports()
    await using pool = openPool(kind, { max: 1, onEvent: reports.onEvent })
    const error = await reasonOf(pool.run('throwBeside', ['beside']))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ message: 'beside' })
    expect(await pool.run('add', [1, 2])).toBe(3)
    expect(reports.of('late-error')).toHaveLength(1)
  })

  it.each(['throwLate', 'rejectLate'] as const)(
    'that is over and then does %s is reported, and its worker replaced',
    async (name) => {
      const reports = new Reports()
      await using pool = openPool(kind, { max: 1, onEvent: reports.onEvent })
      expect(await pool.run(name, ['late'])).toBe('late')
      expect(await pool.run('spin', [10])).toBeGreaterThan(0)
      await reports.reached('worker-ended', 1)
      expect(reports.of('late-error')).toMatchObject([{ error: { message: 'late' } }])
      expect(reports.of('worker-ended')).toMatchObject([{ reason: 'late' }])
      expect(await pool.run('add', [1, 2])).toBe(3)
    },
  )

  it.each(['exit', 'breakChannel', 'exhaustHeap', 'throwLate'] as const)(
    'that does %s has its worker replaced in the same tick, without a pause',
    async (name) => {
      /** Workers started until one ended, and until the end of the tick in which that was told. */
      const started: (readonly [atEnd: number, afterTick: number])[] = []
      const ended = Promise.withResolvers<void>()
      const pool: WorkerPool<Work> = openPool(kind, {
        min: 1,
        max: 1,
        // A pause would last for ever: this clock stands still.
        clock: new ManualClock(),
        resourceLimits: { maxHeapMb: 48 },
        onEvent: (event) => {
          if (event.type !== 'worker-ended' || started.length > 0) return
          const atEnd = pool.stats().workersStarted
          queueMicrotask(() => {
            started.push([atEnd, pool.stats().workersStarted])
            ended.resolve()
          })
        },
      })
      await Promise.allSettled([pool.run(name, [name === 'exit' ? 1 : 'late'] as never)])
      await ended.promise
      const [[atEnd, afterTick] = [0, 0]] = started
      // What is replaced because it leaves has its successor even before it ends.
      expect(atEnd).toBe(name === 'throwLate' ? 2 : 1)
      expect(afterTick).toBe(2)
      expect(await pool.run('add', [1, 2])).toBe(3)
      await pool.close()
    },
  )

  it('that listens to its signal keeps its worker', async () => {
    await using pool = openPool(kind, { max: 1 })
    await pool.run('add', [1, 2])
    const error = await reasonOf(pool.run('untilAborted', [], { timeoutMs: 20 }))
    expect(error).toMatchObject({ code: 'DHARMA_TASK_TIMEOUT', timeoutMs: 20, workerId: 1 })
    expect(await pool.run('add', [1, 2])).toBe(3)
    expect(pool.stats()).toMatchObject({ workersStarted: 1, outcomes: { timedOut: 1 } })
  })

  it('that does not listen is ended with its worker, but not what runs beside it', async () => {
    const reports = new Reports()
    const clock = new ManualClock()
    await using begun = await openMeeting(3)
    await using over = await openMeeting(2)
    await using pool = openPool(kind, {
      max: 1,
      concurrencyPerWorker: 3,
      abortGraceMs: 20,
      clock,
      onEvent: reports.onEvent,
    })
    const beside = pool.run('meet', [begun.port, over.port])
    const error = reasonOf(pool.run('meetForEver', [begun.port], { timeoutMs: 20 }))
    await meet(begun.port)
    await clock.advance(20)
    expect(await error).toBeInstanceOf(TaskTimeoutError)
    // Its worker answers, so it has read by then that the other is to stop.
    expect(await pool.run('add', [1, 2])).toBe(3)
    await clock.advance(20)
    await meet(over.port)
    expect(await beside).toMatch(/^\d+\.\d+$/)
    await reports.reached('worker-ended', 1)
    expect(reports.of('worker-ended')).toMatchObject([{ reason: 'ended' }])
  })

  it('that leaves a loop behind does not hold up the next ones', async () => {
    await using pool = openPool(kind, { max: 1, abortGraceMs: 50 })
    expect(await pool.run('hangLate', [])).toBe(1)
    expect(await pool.run('later', [5, 2])).toBe(2)
    expect(await Promise.all([pool.run('add', [1, 2]), pool.run('add', [2, 2])])).toEqual([3, 4])
  })

  it('that ends every worker it meets before it begins is given up', async () => {
    const reports = new Reports()
    await using pool = openPool(kind, {
      max: 1,
      maxCrashes: 20,
      resourceLimits: { maxHeapMb: 24, maxYoungHeapMb: 4 },
      onEvent: reports.onEvent,
    })
    await pool.run('add', [1, 2])
    const huge = Array.from({ length: 800_000 }, (_, index) => ({ index }))
    const error = await reasonOf(pool.run('lengthOf', [huge as unknown as Uint8Array]))
    expect(error).toMatchObject({ code: /DHARMA_WORKER_(MEMORY|EXIT)/ })
    expect(reports.of('worker-ended').length).toBeLessThan(6)
    expect(await pool.run('add', [1, 2])).toBe(3)
  })

  it('is lost with a worker that crashes for no reason of its own, and no loop follows', async () => {
    await using pool = openPool(kind, { max: 1, maxCrashes: 3 })
    for (let run = 0; run < 6; run += 1) {
      expect(await reasonOf(pool.run('exit', [1]))).not.toBeInstanceOf(CrashLoopError)
    }
  })
})

describe('a thread', () => {
  it.each([-1, 2 ** 31 - 1, 1])(
    'that overwrites the memory it shares, with %d, fails alone',
    async (value) => {
      await using pool = openPool('thread', { max: 1 })
      const scribbler = reasonOf(pool.run('scribble', [value], { timeoutMs: 500 }))
      const innocent = pool.run('add', [1, 2])
      expect(await scribbler).toBeInstanceOf(DharmaError)
      expect(await innocent).toBe(3)
    },
  )

  it('that ends before it began a task with a transfer list fails it, since it cannot be sent again', async () => {
    await using pool = openPool('thread', { max: 1, abortGraceMs: 50 })
    await pool.run('hangLate', [])
    const bytes = new Uint8Array(10)
    const task = pool.run('lengthOf', [bytes], { transfer: [bytes.buffer] })
    const error = await reasonOf(task)
    expect(error).toBeInstanceOf(WorkerExitError)
    expect(error).toMatchObject({ task: 'lengthOf', wasStarted: false })
    expect(pool.stats().outcomes).toMatchObject({ refused: 0, crashed: 1 })
    expect(await pool.run('add', [1, 2])).toBe(3)
  })

  it('that posts to its parent disturbs nobody', async () => {
    await using pool = openPool('thread', { max: 1 })
    expect(await pool.run('postStray', [])).toBe(1)
    expect(await pool.run('add', [1, 2])).toBe(3)
    expect(pool.stats().workersStarted).toBe(1)
  })
})

describe('a process', () => {
  it('that is killed fails its task with the signal', async () => {
    await using pool = openPool('process', { max: 1 })
    const error = await reasonOf(pool.run('killItself', []))
    expect(error).toBeInstanceOf(WorkerExitError)
    expect(error).toMatchObject({ signal: 'SIGKILL', wasStarted: true })
  })
})
