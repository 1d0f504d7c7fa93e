/** The pool's pure parts against naive models. */
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChildClaims } from '../../src/worker-pool/child-claims.ts'
import { CrashGuard } from '../../src/worker-pool/crash-guard.ts'
import { ErrorDecoder } from '../../src/worker-pool/error-decoder.ts'
import { encodeThrown, withoutFields } from '../../src/worker-pool/error-encoder.ts'
import { Fifo } from '../../src/worker-pool/fifo.ts'
import { FrameReader, frameOf, resultFrame, startedFrame } from '../../src/worker-pool/frames.ts'
import { STARTED, VALUE } from '../../src/worker-pool/protocol.ts'
import { SharedSlots } from '../../src/worker-pool/shared-slots.ts'

/** Through a channel and back. */
const roundTrip = (thrown: unknown): unknown =>
  new ErrorDecoder().decode(structuredClone(encodeThrown(thrown)))

describe('thrown values', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withMap: true, withBigInt: true }), (value) => {
        expect(roundTrip(value)).toEqual(value)
      }),
    )
  })

  it('keep what errors hold, cycles too', () => {
    const error = Object.assign(new Error('outer'), {
      code: 'E',
      list: [{ deep: new URIError('x') }],
    })
    Object.defineProperty(error, 'cause', { value: error })
    const back = roundTrip(error) as typeof error
    expect(back).toMatchObject({ message: 'outer', code: 'E' })
    expect(back.cause).toBe(back)
    expect(back.list[0]?.deep).toBeInstanceOf(URIError)
    expect(Object.keys(back)).toEqual(['code', 'list'])
  })

  it('say in words what cannot be carried', () => {
    const error = Object.assign(new Error('x'), { call: () => 1 })
    Object.defineProperty(error, 'bad', {
      enumerable: true,
      get() {
        throw new Error('getter')
      },
    })
    const back = roundTrip(error) as Record<string, unknown>
    expect(back['call']).toContain('Function')
    expect(back['bad']).toContain('getter threw')
    expect(roundTrip(Symbol('s'))).toBe('Symbol(s)')
    expect(roundTrip(new WeakMap())).toContain('WeakMap')
    const bare = new ErrorDecoder().decode(withoutFields(encodeThrown(error))) as Error
    expect(bare.message).toBe('x')
    expect(Object.keys(bare)).toEqual([])
    expect(new ErrorDecoder().decode(withoutFields(encodeThrown(7)))).toBe('7')
  })

  it('are bounded, however many errors hang together', () => {
    let error = new Error('last')
    for (let depth = 0; depth < 1000; depth += 1) error = new Error(`${depth}`, { cause: error })
    expect(encodeThrown(error).errors).toHaveLength(100)
  })

  it('know the platform and do not collect class names without end', () => {
    const abort = roundTrip(new DOMException('stop', 'AbortError')) as DOMException
    expect(abort).toBeInstanceOf(DOMException)
    expect(abort.name).toBe('AbortError')
    const decoder = new ErrorDecoder()
    for (let index = 0; index < 600; index += 1) {
      const made = { [`E${index}`]: class extends RangeError {} }[`E${index}`]
      const back = decoder.decode(encodeThrown(made === undefined ? undefined : new made('x')))
      expect(back).toBeInstanceOf(RangeError)
      expect((back as Error).constructor.name).toBe(index < 500 ? `E${index}` : 'RangeError')
    }
  })
})

describe('a queue', () => {
  it('does what an array does', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('push' as const), value: fc.integer() }),
      fc.record({ do: fc.constant('unshift' as const), value: fc.integer() }),
      fc.record({ do: fc.constant('shift' as const) }),
      fc.record({ do: fc.constant('retain' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const fifo = new Fifo<number>()
        let model: number[] = []
        for (const one of steps) {
          if (one.do === 'push') {
            fifo.push(one.value)
            model.push(one.value)
          } else if (one.do === 'unshift') {
            fifo.unshift(one.value)
            model.unshift(one.value)
          } else if (one.do === 'retain') {
            fifo.retain((value) => value % 2 === 0)
            model = model.filter((value) => value % 2 === 0)
          }
          const [got, wanted] = one.do === 'shift' ? [fifo.shift(), model.shift()] : []
          expect([got, fifo.size, fifo.peek()]).toEqual([wanted, model.length, model[0]])
        }
      }),
    )
  })

  it('lets go of its front when it is long', () => {
    const fifo = new Fifo<number>()
    for (let value = 0; value < 10_000; value += 1) fifo.push(value)
    for (let value = 0; value < 10_000; value += 1) expect(fifo.shift()).toBe(value)
    expect(fifo.size).toBe(0)
  })
})

describe('frames', () => {
  it('come out of a stream that is cut anywhere', () => {
    const message = fc.oneof(
      fc.tuple(fc.constant(VALUE), fc.nat(), fc.nat(500), fc.double(), fc.string()),
      fc.tuple(fc.constant(STARTED), fc.nat(), fc.nat(500)),
      fc.tuple(
        fc.constant(VALUE),
        fc.nat(),
        fc.nat(500),
        fc.double(),
        fc.constantFrom(undefined, null, true, false, 1.5, -0),
      ),
    )
    const bytesOf = (one: readonly [number, ...unknown[]]): Buffer => {
      if (one[0] === STARTED) return startedFrame(one[1] as number, one[2] as number)
      const [, ticket, slot, ms, value] = one as [number, number, number, number, unknown]
      return resultFrame(ticket, slot, ms, value) ?? frameOf(one)
    }
    fc.assert(
      fc.property(fc.array(message), fc.integer({ min: 1, max: 50 }), (messages, size) => {
        const stream = Buffer.concat(messages.map(bytesOf))
        const reader = new FrameReader()
        const read: unknown[] = []
        for (let at = 0; at < stream.length; at += size) {
          reader.read(stream.subarray(at, at + size), (one) => read.push(one))
        }
        expect(read).toEqual(messages)
      }),
    )
  })

  it.each([
    ['no length', Buffer.from([0, 0, 0, 0, 0])],
    ['a length out of all bounds', Buffer.from([255, 255, 255, 255, 255])],
    ['an unknown kind', Buffer.from([2, 0, 0, 0, 7, 7])],
    ['a short one', Buffer.from([2, 0, 0, 0, 1, 1])],
    ['text', Buffer.from('hello world, this is no frame')],
  ])('are refused with %s', (_name, bytes) => {
    expect(() => new FrameReader().read(bytes, () => undefined)).toThrow(TypeError)
  })
})

describe('claims', () => {
  it('of a thread are decided once', () => {
    const pool = new SharedSlots(3)
    const worker = new SharedSlots(pool.buffer)
    pool.offer(0, 5)
    expect([worker.claim(0, 5), pool.revoke(0, 5), pool.hasStarted(0, 5)]).toEqual([
      true,
      false,
      true,
    ])
    pool.offer(1, 6)
    expect([pool.revoke(1, 6), worker.claim(1, 6), pool.hasStarted(1, 6)]).toEqual([
      true,
      false,
      false,
    ])
    // A message that is still on its way names a task that is gone.
    pool.offer(1, 7)
    expect([worker.claim(1, 6), worker.claim(1, 7)]).toEqual([false, true])
  })

  it('carry results in the order in which they came', () => {
    const pool = new SharedSlots(4)
    const worker = new SharedSlots(pool.buffer)
    const seen: unknown[] = []
    for (let round = 0; round < 10; round += 1) {
      for (const [slot, value] of [undefined, null, true, round].entries()) {
        expect(worker.publish(slot, value, 1)).toBe(true)
      }
      expect([worker.ring(), worker.ring()]).toEqual([true, false])
      pool.drain((slot, value) => seen.push([slot, value]))
      expect(seen.splice(0)).toEqual([
        [0, undefined],
        [1, null],
        [2, true],
        [3, round],
      ])
    }
    expect(worker.publish(0, 'text', 1)).toBe(false)
  })

  it('of a process are decided once, and what is long gone cannot be taken back', () => {
    const child = new ChildClaims(2)
    const watchdog = new ChildClaims(child.buffer)
    expect([child.claim(0, 1), watchdog.revoke(0, 1)]).toEqual([true, false])
    expect([watchdog.revoke(0, 2), watchdog.revoke(0, 2), child.claim(0, 2)]).toEqual([
      true,
      true,
      false,
    ])
    expect([child.claim(0, 3), watchdog.revoke(0, 2)]).toEqual([true, false])
    expect([child.claim(1, 2 ** 31 - 1), watchdog.revoke(1, 1)]).toEqual([true, true])
  })
})

it('pauses after crash loops double up to a limit, until a worker has worked', async () => {
  const clock = new ManualClock()
  const guard = new CrashGuard({ clock, pool: 'p', maxCrashes: 2, pauseMs: 100, maxPauseMs: 300 })
  expect(guard.crashed(new Error('1'))).toBeUndefined()
  for (const pauseMs of [100, 200, 300, 300]) {
    expect(guard.crashed(undefined)?.retryAfterMs).toBe(pauseMs)
    await clock.advance(pauseMs)
    expect(guard.error).toBeUndefined()
  }
  guard.worked()
  expect(guard.crashed(undefined)).toBeUndefined()
})
