import { strict as assert } from 'node:assert'
import {
  AcquireTimeoutError,
  ConnectionPool,
  LeaseEndedError,
  type Lease,
} from '@dharma/async/connection-pool'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TrackedFactory, type Behaviour, type Resource } from './tracked-factory.ts'

type Step =
  | { readonly kind: 'acquire'; readonly timeoutMs: number | undefined }
  | { readonly kind: 'tryAcquire' }
  | {
      readonly kind: 'release' | 'destroy' | 'releaseAgain' | 'abort' | 'kill'
      readonly pick: number
    }
  | { readonly kind: 'advance'; readonly byMs: number }
  | { readonly kind: 'resize'; readonly min: number; readonly max: number }
  | { readonly kind: 'create'; readonly behaviour: Behaviour }
  | { readonly kind: 'check'; readonly behaviour: Behaviour }
  | { readonly kind: 'settle'; readonly pick: number; readonly isDone: boolean }

const pick = fc.nat({ max: 1_000 })
const behaviour = fc.constantFrom<Behaviour>('works', 'works', 'fails', 'hangs')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('acquire'),
      timeoutMs: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tryAcquire') }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('release'), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('destroy', 'releaseAgain', 'abort', 'kill'),
      pick,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance'), byMs: fc.integer({ min: 0, max: 700 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('resize'),
      min: fc.nat({ max: 3 }),
      max: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('create'), behaviour }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('check'), behaviour }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle'), pick, isDone: fc.boolean() }) },
)

interface Caller {
  readonly id: number
  readonly controller: AbortController
  lease?: Lease<Resource>
}

/** Drives a pool and a naive model of it: a queue of callers, and the leases that are out. */
class Driver {
  readonly clock = new ManualClock()
  readonly factory = new TrackedFactory()
  readonly pool: ConnectionPool<Resource>
  readonly queue: Caller[] = []
  readonly out: Lease<Resource>[] = []
  readonly ended: Lease<Resource>[] = []
  readonly failures: unknown[] = []
  checking: Behaviour = 'works'
  max = 3
  callers = 0
  mostAllowed = 3

  constructor(seed: number) {
    let state = seed
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
      return (state >>> 0) / 2 ** 32
    }
    const check = (): boolean | Promise<boolean> => {
      if (this.checking === 'works') return true
      return this.checking === 'fails' ? Promise.resolve(false) : new Promise(() => {})
    }
    const reset = (): void => {
      if (this.checking === 'fails') throw new Error('cannot be reset')
    }
    this.pool = new ConnectionPool<Resource>(
      Object.assign(this.factory, { validate: check, reset }),
      {
        clock: this.clock,
        random,
        min: 1,
        max: this.max,
        maxWaiting: 20,
        acquireTimeoutMs: 20_000,
        createTimeoutMs: 300,
        createConcurrency: 2,
        createBackoffMaxMs: 200,
        validateAfterIdleMs: 150,
        checkTimeoutMs: 100,
        maxLifetimeMs: 2_000,
        idleTimeoutMs: 400,
      },
    )
  }

  acquire(timeoutMs: number | undefined): void {
    const caller: Caller = { id: this.callers++, controller: new AbortController() }
    this.queue.push(caller)
    this.pool.acquire({ timeoutMs, signal: caller.controller.signal }).then(
      (lease) => {
        if (this.queue.shift() !== caller)
          this.failures.push(`${caller.id} overtook another caller`)
        this.lent(lease)
        return undefined
      },
      (error: unknown) => {
        this.queue.splice(this.queue.indexOf(caller), 1)
        const isExpected =
          error instanceof AcquireTimeoutError || error === caller.controller.signal.reason
        if (!isExpected && (error as Error).name !== 'PoolQueueFullError') this.failures.push(error)
      },
    )
  }

  tryAcquire(): void {
    const mustFail = this.pool.stats().waiting > 0
    const lease = this.pool.tryAcquire()
    if (lease === undefined) return
    if (mustFail) this.failures.push('a newcomer overtook the waiters')
    this.lent(lease)
  }

  lent(lease: Lease<Resource>): void {
    const isTwice = this.out.some((other) => other.resource === lease.resource)
    if (isTwice) this.failures.push(`resource ${lease.resource.id} was lent twice`)
    this.out.push(lease)
  }

  take(run: Step): void {
    const { factory, pool } = this
    switch (run.kind) {
      case 'acquire':
        return this.acquire(run.timeoutMs)
      case 'tryAcquire':
        return this.tryAcquire()
      case 'release':
      case 'destroy': {
        const [lease] = this.out.splice(run.pick % Math.max(1, this.out.length), 1)
        if (lease === undefined) return undefined
        this.ended.push(lease)
        return run.kind === 'release' ? lease.release() : lease.destroy()
      }
      case 'releaseAgain': {
        const lease = this.ended[run.pick % Math.max(1, this.ended.length)]
        if (lease !== undefined) assert.throws(() => lease.release(), LeaseEndedError)
        return undefined
      }
      case 'abort':
        return this.queue[run.pick % Math.max(1, this.queue.length)]?.controller.abort()
      case 'kill': {
        const open = [...factory.open]
        const resource = open[run.pick % Math.max(1, open.length)]
        if (resource !== undefined) pool.invalidate(resource)
        return undefined
      }
      case 'resize':
        this.max = run.max
        return pool.resize({ min: Math.min(run.min, run.max), max: run.max })
      case 'create':
        factory.creating = run.behaviour
        return undefined
      case 'check':
        this.checking = run.behaviour
        return undefined
      case 'settle':
        return factory.pending[run.pick % Math.max(1, factory.pending.length)]?.settle(run.isDone)
      case 'advance':
        return undefined
    }
  }

  async step(run: Step): Promise<void> {
    this.take(run)
    await this.clock.advance(run.kind === 'advance' ? run.byMs : 0)
    this.verify()
  }

  verify(): void {
    const { factory, pool } = this
    const stats = pool.stats()
    assert.deepEqual(this.failures, [])
    // Above a lowered max, resources leave as they come back; none is added meanwhile.
    this.mostAllowed = Math.max(this.max, Math.min(this.mostAllowed, factory.open.size))
    assert.ok(factory.open.size <= this.mostAllowed)
    assert.equal(stats.size, factory.open.size)
    assert.equal(stats.size, stats.idle + stats.leased + stats.checking)
    assert.equal(stats.leased, this.out.filter(({ resource }) => factory.open.has(resource)).length)
    assert.equal(stats.waiting, this.queue.length)
    assert.equal(stats.closing, 0)
    // Nothing idles while somebody waits for whom nothing is under way.
    if (stats.waiting > stats.checking) assert.equal(stats.idle, 0)
  }

  /** With a factory that works and borrowers who return, everybody is served and nothing remains. */
  async finish(): Promise<void> {
    this.factory.creating = 'works'
    this.checking = 'works'
    for (let round = 0; this.queue.length > 0 || this.out.length > 0; round++) {
      assert.ok(round < 100)
      await this.step({ kind: 'release', pick: 0 })
      await this.step({ kind: 'advance', byMs: 50 })
    }
    await this.pool.close()
    for (const attempt of Array.from(this.factory.pending)) attempt.settle(true)
    await this.clock.advance(300)
    assert.equal(this.factory.open.size, 0)
    assert.equal(this.clock.pendingTimers, 0)
  }
}

// 300 runs, in parts so that each stays well within the limit of a test.
it.each([1, 2, 3])(
  'whatever happens: never above max, no resource lent twice, first come first served, all settle (part %d)',
  async () => {
    const outcome = fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
        fc.integer(),
        async (steps, seed) => {
          const driver = new Driver(seed)
          for (const run of steps) await driver.step(run)
          await driver.finish()
        },
      ),
      { numRuns: 100 },
    )
    await expect(outcome).resolves.toBeUndefined()
  },
)
