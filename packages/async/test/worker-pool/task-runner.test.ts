/** What a worker does with its messages; in this thread, since a pool's workers are tested as a whole. */
import { describe, expect, it } from 'vitest'
import { ErrorDecoder } from '../../src/worker-pool/error-decoder.ts'
import { encodeThrown, type EncodedThrown } from '../../src/worker-pool/error-encoder.ts'
import {
  ABORT_SEEN,
  FAILURE,
  LATE,
  NO_TASK,
  READY,
  START_FAILED,
  UNSENDABLE,
  VALUE,
  type FunctionDefinition,
  type PoolMessage,
} from '../../src/worker-pool/protocol.ts'
import { Loopback } from './loopback.ts'

const plainWork = new URL('fixtures/plain-work.ts', import.meta.url).href

/** What the task threw that failed with this message. */
function thrownOf(message: PoolMessage): unknown {
  return new ErrorDecoder().decode(message.at(-1) as EncodedThrown)
}

const define = (index: number, source: string): FunctionDefinition => [index, 'source', source]

describe('a worker', () => {
  it('says that its module is loaded, and runs what that exports', async () => {
    using worker = new Loopback({ moduleUrl: plainWork })
    await worker.start()
    expect(await worker.heard(READY)).toEqual([READY])
    worker.send(
      [
        [0, 'name', 'add'],
        [1, 'name', 'echo'],
      ],
      [
        [0, [1, 2]],
        [1, ['text']],
      ],
    )
    expect(await worker.heard(VALUE)).toEqual([VALUE, 2, 2, expect.any(Number), 'text'])
    expect(await worker.finished(1)).toEqual([[1, 3]])
  })

  it('says why its module cannot be loaded', async () => {
    using worker = new Loopback({
      moduleUrl: new URL('fixtures/broken.ts', import.meta.url).href,
    })
    await worker.start()
    expect(thrownOf(await worker.heard(START_FAILED))).toMatchObject({
      message: 'this module does not load',
    })
  })

  it.each(['absent', 'limit', 'toString'])(
    'fails a task whose function %s the module does not export',
    async (name) => {
      using worker = new Loopback({ moduleUrl: plainWork })
      await worker.start()
      worker.send([[0, 'name', name]], [[0, []]])
      expect(thrownOf(await worker.heard(FAILURE))).toMatchObject({
        name: 'TypeError',
        message: expect.stringContaining(`exports no function "${name}"`),
      })
    },
  )

  it('without a module has no named functions', async () => {
    using worker = new Loopback()
    worker.send([[0, 'name', 'add']], [[0, []]])
    expect(thrownOf(await worker.heard(FAILURE))).toMatchObject({
      message: 'a pool without a module exports no function "add"',
    })
  })

  it('fails a task whose text is no function of this version, and runs the next', async () => {
    using worker = new Loopback()
    worker.send(
      [define(0, '=>'), define(1, '() => 7')],
      [
        [0, []],
        [1, []],
      ],
    )
    expect(thrownOf(await worker.heard(FAILURE))).toBeInstanceOf(SyntaxError)
    expect(await worker.finished(1)).toEqual([[2, 7]])
  })

  it('tells apart what was returned, thrown, rejected and cannot be cloned', async () => {
    using worker = new Loopback()
    worker.send(
      [
        define(0, 'async () => ({ deep: [1n] })'),
        define(1, 'async () => { throw new RangeError("rejected") }'),
        define(2, '() => () => 1'),
        define(3, '() => null'),
      ],
      [
        [0, []],
        [1, []],
        [2, []],
        [3, []],
      ],
    )
    expect(await worker.finished(1)).toEqual([[4, null]])
    expect((await worker.heard(VALUE)).at(-1)).toEqual({ deep: [1n] })
    expect(thrownOf(await worker.heard(FAILURE))).toMatchObject({ message: 'rejected' })
    expect(thrownOf(await worker.heard(UNSENDABLE))).toMatchObject({ name: 'DataCloneError' })
    // One at a time, in the order in which they came.
    expect(worker.said.map(([type]) => type)).toEqual([VALUE, FAILURE, UNSENDABLE])
  })

  it('waits for what is only like a promise', async () => {
    using worker = new Loopback()
    worker.send([define(0, '() => ({ then(resolve) { resolve(5) } })')], [[0, []]])
    expect(await worker.finished(1)).toEqual([[1, 5]])
  })

  it('does not begin what was taken back', async () => {
    using worker = new Loopback()
    const [first, second, third] = worker.send(
      [define(0, '(x) => x')],
      [
        [0, [1]],
        [0, [2]],
        [0, [3]],
      ],
    ) as [number, number, number]
    expect(worker.slots.revoke(second, second)).toBe(true)
    expect(await worker.finished(2)).toEqual([
      [first, 1],
      [third, 3],
    ])
    expect(worker.slots.revoke(third, third)).toBe(false)
  })

  it('runs as many at once as it may, and takes up the next when one ends', async () => {
    using worker = new Loopback({ concurrency: 2 })
    const waiting = define(
      0,
      '() => new Promise((resolve) => process.once("release-a-task", resolve))',
    )
    worker.send(
      [waiting, define(1, '(x) => x')],
      [
        [0, []],
        [0, []],
        [1, [1]],
      ],
    )
    // A second message, while the first is still in progress.
    worker.send([], [[1, [2]]])
    worker.abort(NO_TASK, encodeThrown(undefined))
    await worker.heard(ABORT_SEEN)
    expect(worker.results).toEqual([])
    ;(process as NodeJS.EventEmitter).emit('release-a-task')
    const results = await worker.finished(4)
    expect(new Set(results.map(([, value]) => value))).toEqual(new Set([undefined, 1, 2]))
    expect(results.findIndex(([, value]) => value === 1)).toBeLessThan(
      results.findIndex(([, value]) => value === 2),
    )
  })

  it('looks at its messages between tasks that run long', async () => {
    using worker = new Loopback()
    const spin = '(ms) => { const end = performance.now() + ms; while (performance.now() < end); }'
    worker.send(
      [define(0, spin)],
      Array.from({ length: 4 }, () => [0, [6]] as const),
    )
    worker.abort(NO_TASK, encodeThrown(undefined))
    await worker.heard(ABORT_SEEN)
    expect(worker.results.length).toBeLessThan(4)
    expect(await worker.finished(4)).toHaveLength(4)
  })

  it('aborts the signal of the task that was named, with the reason', async () => {
    using worker = new Loopback({ concurrency: 2 })
    const untilAborted = `function () {
      return new Promise((resolve) => this.signal.addEventListener('abort', () => resolve([this.taskId, this.workerId, this.signal.reason.message])))
    }`
    const [, second] = worker.send(
      [define(0, untilAborted)],
      [
        [0, []],
        [0, []],
      ],
    ) as [number, number]
    worker.abort(second, encodeThrown(new Error('enough')))
    expect(await worker.heard(ABORT_SEEN)).toEqual([ABORT_SEEN, second])
    expect((await worker.heard(VALUE)).at(-1)).toEqual([second, 1, 'enough'])
  })

  it('lets a task find its signal aborted that asks for it too late', async () => {
    using worker = new Loopback()
    const late = `async function () {
      await new Promise((resolve) => process.once('release-a-task', resolve))
      return [this.signal.aborted]
    }`
    const [ticket] = worker.send([define(0, late)], [[0, []]]) as [number]
    worker.abort(ticket, encodeThrown('any reason'))
    await worker.heard(ABORT_SEEN)
    ;(process as NodeJS.EventEmitter).emit('release-a-task')
    expect((await worker.heard(VALUE)).at(-1)).toEqual([true])
  })

  it('wakes the pool before a long row of results is at its end, and tells its heap', async () => {
    using worker = new Loopback()
    worker.send(
      [define(0, '(x) => x')],
      Array.from({ length: 40 }, (_, index) => [0, [index]] as const),
    )
    const results = await worker.finished(40)
    expect(results.map(([, value]) => value)).toEqual(Array.from({ length: 40 }, (_, at) => at))
    worker.abort(NO_TASK, encodeThrown(undefined))
    await worker.heard(ABORT_SEEN)
    expect(worker.heapReports).toBe(1)
  })
})

describe('what a task throws beside its promise', () => {
  /** As Node calls it, with the task as the context. */
  const beside = (then: string): string =>
    `async () => { process.listeners('uncaughtException').at(-1)(new RangeError('beside')); ${then} }`

  it('is its failure, whatever becomes of the promise', async () => {
    using worker = new Loopback()
    await worker.start()
    const [ticket] = worker.send(
      [define(0, beside('return "too late"')), define(1, '() => 1')],
      [
        [0, []],
        [1, []],
      ],
    )
    expect(await worker.finished(1)).toEqual([[2, 1]])
    expect(thrownOf(await worker.heard(FAILURE))).toMatchObject({ message: 'beside' })
    expect(thrownOf(await worker.heard(LATE))).toMatchObject({ message: 'beside' })
    expect(worker.said).toContainEqual([
      FAILURE,
      ticket,
      ticket,
      expect.any(Number),
      expect.anything(),
    ])
    expect(worker.said.filter(([type]) => type === VALUE)).toEqual([])
  })

  it('is told once, also if the promise is rejected afterwards', async () => {
    using worker = new Loopback()
    await worker.start()
    worker.send([define(0, beside('throw new Error("again")'))], [[0, []]])
    await worker.heard(LATE)
    worker.abort(NO_TASK, encodeThrown(undefined))
    await worker.heard(ABORT_SEEN)
    expect(worker.said.filter(([type]) => type === FAILURE)).toHaveLength(1)
  })
})
