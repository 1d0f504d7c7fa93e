import {
  CrashLoopError,
  TaskPayloadError,
  taskContext,
  WorkerPool,
} from '@dharma/async/worker-pool'
import { ClosedError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'
import { kinds, openPool, reasonOf, Reports, type Work } from './fixtures/open-pool.ts'
import { openMeeting } from './meeting.ts'

describe.each(kinds)('a pool of kind %s', { timeout: 30_000 }, (kind) => {
  it('runs functions of a module and self-contained functions', async () => {
    await using pool = openPool(kind)
    expect(await pool.run('add', [1, 2])).toBe(3)
    expect(await pool.tasks.addLater([1, 2])).toBe(3)
    expect(await pool.exec((x: number, y: string) => y.repeat(x), [3, 'ab'])).toBe('ababab')
    const methods = {
      double(x: number) {
        return 2 * x
      },
      async later(x: number) {
        await Promise.resolve()
        return x
      },
    }
    expect(await pool.exec(methods.double, [4])).toBe(8)
    expect(await pool.exec(methods.later, [4])).toBe(4)
    expect(
      await pool.exec(
        function named(x: number) {
          return x
        },
        [5],
      ),
    ).toBe(5)
  })

  it('carries what can be cloned, both ways', async () => {
    await using pool = openPool(kind)
    const value = {
      date: new Date(5),
      map: new Map([[1, new Set(['a'])]]),
      big: 10n,
      list: [undefined, null, Number.NaN, -0],
      nested: { text: 'ö'.repeat(1000) },
    }
    expect(await pool.run('echo', [value])).toEqual(value)
    for (const small of [undefined, null, true, false, -0, 1.5, Number.NaN, 'text']) {
      expect(await pool.run('echo', [small])).toBe(small)
    }
    const bytes = new Uint8Array(3_000_000).fill(7)
    expect(Buffer.compare((await pool.run('echo', [bytes])) as Uint8Array, bytes)).toBe(0)
  })

  it('is this and the context of a task', async () => {
    await using pool = openPool(kind)
    expect(await pool.run('context', [])).toMatchObject({ same: true })
    expect(() => taskContext()).toThrow('outside of a task')
  })

  it('refuses arguments and results that cannot be cloned, and nothing else of the same message', async () => {
    await using pool = openPool(kind, { max: 1 })
    await pool.run('echo', [1])
    const [good, bad, other] = await Promise.allSettled([
      pool.run('echo', [1]),
      pool.run('echo', [() => 1]),
      pool.run('echo', [2]),
    ])
    expect(good).toMatchObject({ value: 1 })
    expect(other).toMatchObject({ value: 2 })
    expect(bad).toMatchObject({ reason: { code: 'DHARMA_TASK_PAYLOAD', part: 'arguments' } })
    const error = await reasonOf(pool.run('returnFunction', []))
    expect(error).toBeInstanceOf(TaskPayloadError)
    expect(error).toMatchObject({ part: 'result', task: 'returnFunction' })
    expect(pool.stats()).toMatchObject({ workersStarted: 1, outcomes: { refused: 2 } })
  })

  it('takes transferred results', async () => {
    await using pool = openPool(kind)
    expect(await pool.run('ownBuffer', [100])).toHaveLength(100)
  })

  it('says which function is missing', async () => {
    await using pool = openPool(kind)
    expect(await reasonOf(pool.run('absent' as 'add', [1, 2]))).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('exports no function "absent"'),
    })
    expect(await reasonOf(pool.run('limit' as 'add', [1, 2]))).toBeInstanceOf(TypeError)
  })

  it('spreads tasks over its workers', async () => {
    await using pool = openPool(kind, { min: 2 })
    await using meeting = await openMeeting(2)
    const places = await Promise.all(
      Array.from({ length: 40 }, () => pool.run('meet', [meeting.port])),
    )
    const counts = Map.groupBy(places, (place) => place)
    expect(counts.size).toBe(2)
    for (const tasks of counts.values()) expect(tasks.length).toBe(20)
  })

  it('runs as many tasks of a worker at once as it was told', async () => {
    await using pool = openPool(kind, { max: 1, concurrencyPerWorker: 3 })
    const controller = new AbortController()
    const waiting = [1, 2].map(() =>
      reasonOf(pool.run('untilAborted', [], { signal: controller.signal })),
    )
    expect(await pool.run('add', [1, 2])).toBe(3)
    expect(pool.load()).toMatchObject({ inFlight: 2, capacity: 3 })
    controller.abort('enough')
    expect(await Promise.all(waiting)).toEqual(['enough', 'enough'])
    await expect.poll(() => pool.load().inFlight).toBe(0)
    expect(pool.stats().workersStarted).toBe(1)
  })

  it('drains what waits before it closes, and takes nothing more', async () => {
    const pool = openPool(kind, { max: 1 })
    const tasks = Array.from({ length: 20 }, () => pool.run('spin', [1]))
    const closed = pool.close()
    expect(await reasonOf(pool.run('add', [1, 1]))).toBeInstanceOf(ClosedError)
    expect(await Promise.all(tasks)).toHaveLength(20)
    await closed
    expect(pool.size).toBe(0)
  })

  it('closes at once when it is told not to drain, and every promise settles', async () => {
    const pool = openPool(kind, { max: 1 })
    await pool.run('add', [1, 1])
    const reasons = [pool.run('hang', []), pool.run('add', [1, 2])].map(reasonOf)
    await pool.close({ drain: false })
    for (const reason of await Promise.all(reasons)) expect(reason).toBeInstanceOf(ClosedError)
  })

  it('ends what is left at the deadline of a drain', async () => {
    const clock = new ManualClock()
    const pool = openPool(kind, { max: 1, clock })
    await pool.run('add', [1, 1])
    const reason = reasonOf(pool.run('never', []))
    const closed = pool.close({ deadlineMs: 100 })
    await clock.advance(100)
    expect(await reason).toBeInstanceOf(ClosedError)
    await closed
    expect(clock.pendingTimers).toBe(0)
  })

  it('replaces a worker after so many tasks, without a task lost', async () => {
    const reports = new Reports()
    const pool = openPool(kind, { max: 1, recycle: { tasks: 5 }, onEvent: reports.onEvent })
    const tasks = Array.from({ length: 12 }, (_, index) => pool.run('add', [index, 0]))
    expect(await Promise.all(tasks)).toEqual(Array.from({ length: 12 }, (_, index) => index))
    await reports.reached('worker-ended', 2)
    expect(reports.of('worker-ended').map((event) => event.reason)).toEqual(['left', 'left'])
    await pool.close()
  })

  it('reports a crash loop instead of spinning when the module cannot be loaded', async () => {
    const clock = new ManualClock()
    const reports = new Reports()
    await using pool = new WorkerPool<Work>({
      kind,
      module: new URL('fixtures/broken.ts', import.meta.url),
      max: 1,
      maxCrashes: 2,
      crashPauseMs: 1000,
      clock,
      onEvent: reports.onEvent,
    })
    const error = await reasonOf(pool.run('add', [1, 2]))
    expect(error).toBeInstanceOf(CrashLoopError)
    expect(error).toMatchObject({ crashes: 2, cause: { message: 'this module does not load' } })
    expect(await reasonOf(pool.run('add', [1, 2]))).toBeInstanceOf(CrashLoopError)
    expect(pool.stats().workersStarted).toBe(2)
    expect(reports.of('crash-loop')).toHaveLength(1)
    await clock.advance(1000)
    // One more try, one more crash, a longer pause.
    expect(await reasonOf(pool.run('add', [1, 2]))).toMatchObject({ retryAfterMs: 2000 })
    expect(pool.stats().workersStarted).toBe(3)
  })

  it('gives up a worker whose module hangs', async () => {
    await using pool = new WorkerPool<Work>({
      kind,
      module: new URL('fixtures/hanging.ts', import.meta.url),
      max: 1,
      maxCrashes: 1,
      startTimeoutMs: 300,
    })
    expect(await reasonOf(pool.run('add', [1, 2]))).toMatchObject({
      code: 'DHARMA_WORKER_CRASH_LOOP',
      cause: { code: 'DHARMA_TIMEOUT', timeoutMs: 300 },
    })
  })
})
