import { PoolQueueFullError, WorkerPool } from '@dharma/async/worker-pool'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { openPlainPool, reasonOf, Reports, type PlainWork } from './fixtures/open-pool.ts'

const key = 'a method'
const computed = {
  [key](x: number) {
    return x
  },
}

function addTo(left: number, right: number): number {
  return left + right
}

describe('a worker pool', () => {
  it('has the types of the module', async () => {
    await using pool = openPlainPool('thread')
    expectTypeOf(pool.run('add', [1, 2])).resolves.toBeNumber()
    expectTypeOf(pool.tasks.addLater([1, 2])).resolves.toBeNumber()
    expectTypeOf(pool.exec((x: string) => x.length, ['a'])).resolves.toBeNumber()
    expectTypeOf<Parameters<typeof pool.run>[0]>().not.toEqualTypeOf<'limit'>()
    // @ts-expect-error: a number is no string.
    expect(await pool.run('add', [1, 'b'])).toBe('1b')
  })

  it('moves what is in the transfer list', async () => {
    await using pool = openPlainPool('thread')
    const bytes = new Uint8Array(10)
    expect(await pool.run('lengthOf', [bytes], { transfer: [bytes.buffer] })).toBe(10)
    expect(bytes.byteLength).toBe(0)
  })

  it('never takes a task with a transfer list back from its worker', async () => {
    const clock = new ManualClock()
    await using pool = openPlainPool('thread', { min: 0, max: 1, clock })
    const gate = new Int32Array(new SharedArrayBuffer(4))
    await pool.run('blockLate', [gate])
    const bytes = new Uint8Array(10)
    const length = pool.run('lengthOf', [bytes], { transfer: [bytes.buffer] })
    // Its worker does not get on, and then is to leave, with a successor at hand.
    await clock.advance(100)
    pool.resize(0)
    pool.resize(1)
    expect(bytes.byteLength).toBe(0)
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
    expect(await length).toBe(10)
    expect(pool.stats()).toMatchObject({ moved: 0, workersStarted: 2 })
  })

  it('limits the young objects of a thread unless it was told how', async () => {
    await using pool = openPlainPool('thread', { max: 1, resourceLimits: { maxHeapMb: 100 } })
    expect(await pool.run('limits', [])).toEqual({ heapMb: 100 + 24, stackMb: 4 })
  })

  it.each([
    ['thread', 2],
    ['process', undefined],
  ] as const)('limits the memory of a %s as it was told', async (kind, stackMb) => {
    const resourceLimits = { maxHeapMb: 100, maxYoungHeapMb: 12, stackMb: 2 }
    await using pool = openPlainPool(kind, { max: 1, resourceLimits })
    expect(await pool.run('limits', [])).toEqual({ heapMb: 100 + 12, stackMb })
  })

  it.each([
    ['a native function', Math.max],
    ['a bound function', addTo.bind(undefined, 1)],
    ['a class', Date as unknown as () => number],
    ['a class of its own', Reports as unknown as () => number],
    ['a method with a computed name', computed['a method'] as () => number],
  ])('refuses %s as a self-contained function', async (_name, fn) => {
    await using pool = new WorkerPool({ min: 0 })
    expect(await reasonOf(pool.exec(fn, [1] as never))).toBeInstanceOf(TypeError)
    expect(pool.size).toBe(0)
  })

  it('takes tasks by priority, and lets waiting count', async () => {
    const clock = new ManualClock()
    await using pool = openPlainPool('thread', { max: 1, agingMs: 100, clock })
    const order: string[] = []
    const note = async (name: string, priority: number): Promise<void> => {
      await pool.run('spin', [1], { priority })
      order.push(name)
    }
    const first = note('first', 0)
    const old = note('old', 0)
    await clock.advance(250)
    const rest = [note('low', -1), note('high', 3), note('middle', 2), note('plain', 0)]
    await Promise.all([first, old, ...rest])
    expect(order).toEqual(['high', 'first', 'old', 'middle', 'plain', 'low'])
  })

  it('takes no more tasks than may wait', async () => {
    const pool = openPlainPool('thread', { max: 1, maxQueue: 2 })
    const tasks = [pool.run('add', [1, 1]), pool.run('add', [1, 2])]
    expect(await reasonOf(pool.run('add', [1, 3]))).toMatchObject({
      name: PoolQueueFullError.name,
      maxQueue: 2,
    })
    expect(await Promise.all(tasks)).toEqual([2, 3])
    await pool.close()
  })

  it('forgets a task that is aborted while it waits', async () => {
    await using pool = new WorkerPool<PlainWork>({
      module: new URL('fixtures/plain-work.ts', import.meta.url),
      min: 0,
      max: 1,
    })
    const controller = new AbortController()
    const task = reasonOf(pool.run('add', [1, 1], { signal: controller.signal }))
    controller.abort(new Error('not needed'))
    expect(await task).toMatchObject({ message: 'not needed' })
    expect(pool.load().queued).toBe(0)
    expect(await reasonOf(pool.run('add', [1, 1], { signal: controller.signal }))).toBe(
      controller.signal.reason,
    )
  })

  it('grows while tasks wait and shrinks when it has been idle', async () => {
    const reports = new Reports()
    const clock = new ManualClock()
    await using pool = openPlainPool('thread', {
      min: 0,
      max: 3,
      idleMs: 1000,
      clock,
      onEvent: reports.onEvent,
    })
    expect(pool.size).toBe(0)
    await Promise.all([1, 2, 3, 4].map(() => pool.run('spin', [1])))
    await reports.reached('worker-ready', 3)
    expect(pool.size).toBe(3)
    await clock.advance(1500)
    expect(pool.size).toBe(0)
    expect(await pool.run('add', [1, 2])).toBe(3)
  })

  it('is sized from outside within its limits', async () => {
    const pool = openPlainPool('thread', { min: 1, max: 4 })
    expect(pool.limits).toEqual({ min: 1, max: 4 })
    expect(pool.resize(9)).toBe(4)
    expect(pool.size).toBe(4)
    expect(pool.resize(0)).toBe(1)
    expect(pool.size).toBe(1)
    await Promise.all(Array.from({ length: 20 }, () => pool.run('spin', [1])))
    expect(pool.size).toBe(1)
    expect(() => pool.resize(Number.NaN)).toThrow('size must be a number, not NaN')
    await pool.close()
  })

  it('replaces a worker that is too old', async () => {
    const clock = new ManualClock()
    await using pool = openPlainPool('thread', { max: 1, clock, recycle: { ageMs: 50 } })
    await pool.run('add', [1, 1])
    await clock.advance(50)
    await pool.run('add', [1, 1])
    await pool.run('add', [1, 1])
    expect(pool.stats().workersStarted).toBe(2)
  })

  it('replaces a worker that is too large', async () => {
    await using small = openPlainPool('thread', { max: 1, recycle: { heapBytes: 1 } })
    await small.run('add', [1, 1])
    await small.run('add', [1, 1])
    await small.run('add', [1, 1])
    expect(small.stats().workersStarted).toBeGreaterThan(1)
  })

  it.each([
    [{ max: 0 }, 'max must be a whole number from 1 to 10000, not 0'],
    [{ max: 2, min: 3 }, 'min must be a whole number from 0 to 2, not 3'],
    [{ concurrencyPerWorker: 1.5 }, 'concurrencyPerWorker'],
    [{ startTimeoutMs: 0 }, 'startTimeoutMs must be from 1'],
    [{ recycle: { tasks: 0 } }, 'tasks must be from 1'],
    [{ resourceLimits: { maxHeapMb: -1 } }, 'maxHeapMb must be from 1'],
    [{ kind: 'fiber' as 'thread' }, "kind must be 'thread' or 'process', not fiber"],
  ])('refuses the options %j', (options, message) => {
    expect(() => new WorkerPool(options)).toThrow(message)
  })

  it('refuses wrong options of a task', async () => {
    await using pool = openPlainPool('thread', { min: 0 })
    expect(await reasonOf(pool.run('add', [1, 2], { priority: 11 }))).toBeInstanceOf(RangeError)
    expect(await reasonOf(pool.run('add', [1, 2], { timeoutMs: -1 }))).toBeInstanceOf(RangeError)
  })

  it('is no promise, and its proxy neither', async () => {
    await using pool = openPlainPool('thread', { min: 0 })
    expect(await Promise.resolve(pool.tasks)).toBe(pool.tasks)
  })
})
