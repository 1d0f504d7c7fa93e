import { ManualClock } from '@dharma/core/testing'
import { MemoryTier } from '@dharma/cache/memory'
import { describe, expect, it } from 'vitest'
import { Fences } from '../src/fences.ts'
import { InvalidationState } from '../src/invalidation/invalidation-state.ts'
import { Invalidations } from '../src/invalidations.ts'
import { KeyWaiters } from '../src/key-waiters.ts'
import type { InvalidationTargets, InvalidationWriter } from '../src/redis/invalidation-writer.ts'

/** Invalidations before a Redis whose answers the test gives, so that the moments between can be seen. */
function createParts() {
  const clock = new ManualClock()
  const state = new InvalidationState({
    isShared: true,
    maxPatterns: 10,
    maxTags: 100,
    oldestLoadVersion: () => Number.POSITIVE_INFINITY,
    onEpochsExhausted: () => undefined,
  })
  state.trustedUntilMs = Number.POSITIVE_INFINITY
  const memory = new MemoryTier({ clock, view: state })
  const fences = new Fences()
  const asked: { targets: InvalidationTargets; answer: PromiseWithResolvers<number> }[] = []
  const redis = { isReachable: true }
  const writer: Pick<InvalidationWriter, 'invalidate'> = {
    invalidate(targets) {
      const answer = Promise.withResolvers<number>()
      asked.push({ targets, answer })
      return answer.promise
    },
  }
  const errors: unknown[] = []
  const invalidations = new Invalidations({
    clock,
    state,
    fences,
    waiters: new KeyWaiters(clock),
    memory,
    writer: writer as InvalidationWriter,
    isReachable: () => redis.isReachable,
    origin: 'me',
    onDegraded: () => undefined,
    onError: (error) => errors.push(error),
  })
  const keep = (key: string, tags: readonly string[]): void => {
    memory.store(key, 'old', {
      freshForMs: 60_000,
      keepForMs: 60_000,
      tags: tags.map((tag) => state.tags.record(tag)),
      stamp: state.epoch,
      isSelfTimed: false,
    })
  }
  return { clock, state, memory, fences, asked, redis, errors, invalidations, keep }
}

type Parts = ReturnType<typeof createParts>

/** Lets everything run that is ready. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const WAYS: readonly (readonly [string, InvalidationTargets])[] = [
  ['a key', { keys: ['k'] }],
  ['a tag', { tags: ['t'] }],
  ['a pattern', { patterns: ['k*'] }],
  ['everything', { everything: true }],
]
/** A tag is not fenced: what depends on it compares epochs. */
const FENCED = WAYS.filter(([name]) => name !== 'a tag')

async function begin({ asked, invalidations }: Parts, targets: InvalidationTargets) {
  const result = invalidations.invalidate(targets)
  await settled()
  return { result, answer: asked.at(-1)?.answer as PromiseWithResolvers<number> }
}

describe('an invalidation that this process makes', () => {
  it.each(WAYS)('drops %s from memory before Redis is asked', async (_, targets) => {
    const parts = createParts()
    parts.keep('k', ['t'])
    void begin(parts, targets)
    expect(parts.memory.hit('k')).toBe(-1)
  })

  it.each(WAYS)('drops %s once more when Redis has answered', async (_, targets) => {
    const parts = createParts()
    const { result, answer } = await begin(parts, targets)
    // A read meanwhile may have found what was about to go.
    parts.keep('k', ['t'])
    answer.resolve(10)
    expect(await result).toEqual({ status: 'done' })
    expect(parts.memory.hit('k')).toBe(-1)
  })

  it.each(FENCED)('breaks what is under way for %s, before and after', async (_, targets) => {
    const parts = createParts()
    const before = parts.fences.open('k')
    const { result, answer } = await begin(parts, targets)
    const meanwhile = parts.fences.open('k')
    answer.resolve(10)
    await result
    const after = parts.fences.open('k')
    expect([before, meanwhile, after].map(({ isBroken }) => isBroken)).toEqual([true, true, false])
  })

  it('waits, is told again until Redis takes it, and is then forgotten', async () => {
    const { clock, asked, invalidations, errors } = createParts()
    const result = invalidations.invalidate({ keys: ['k'], tags: ['t'] })
    await settled()
    asked[0]?.answer.reject(new Error('no'))
    expect(await result).toEqual({ status: 'pending' })
    for (let attempt = 1; attempt < 50; attempt++) {
      await settled()
      expect(asked.length).toBe(attempt + 1)
      asked[attempt]?.answer.reject(new Error('no'))
      await settled()
      await clock.advance(100)
    }
    await settled()
    expect(asked.at(-1)?.targets).toMatchObject({ keys: ['k'], tags: ['t'] })
    asked.at(-1)?.answer.resolve(7)
    await settled()
    expect([invalidations.journal.isEmpty, errors.length]).toEqual([true, 49])
    await invalidations.close()
  })

  it('one that follows a pending one waits for that', async () => {
    const { asked, redis, invalidations } = createParts()
    redis.isReachable = false
    expect(await invalidations.invalidate({ keys: ['a'] })).toEqual({ status: 'pending' })
    redis.isReachable = true
    const second = invalidations.invalidate({ keys: ['b'] })
    await settled()
    expect(asked.map(({ targets }) => targets.keys)).toEqual([['a']])
    asked[0]?.answer.resolve(1)
    await settled()
    expect(asked[1]?.targets).toEqual({ keys: ['b'] })
    asked[1]?.answer.resolve(2)
    expect(await second).toEqual({ status: 'done' })
  })
})

describe('an invalidation that another process made', () => {
  it.each(WAYS)('drops %s from memory, once the log tells it', (_, targets) => {
    const { state, invalidations, memory, keep } = createParts()
    state.learnTag(state.tags.record('t'), 1)
    keep('k', ['t'])
    invalidations.apply({ kind: 'invalidation', previous: 1, version: 2, origin: 'other', targets })
    expect([memory.hit('k'), invalidations.heard]).toEqual([-1, 1])
  })

  it.each(FENCED)('breaks what is under way for %s', (_, targets) => {
    const { invalidations, fences } = createParts()
    const fence = fences.open('k')
    invalidations.apply({ kind: 'invalidation', previous: 1, version: 2, origin: 'other', targets })
    expect(fence.isBroken).toBe(true)
  })

  it('is nothing new if it was this process itself', () => {
    const { state, invalidations, memory, keep } = createParts()
    keep('k', [])
    const targets = { keys: ['k'] }
    invalidations.apply({ kind: 'invalidation', previous: 1, version: 2, origin: 'me', targets })
    expect([memory.hit('k') >= 0, state.version]).toEqual([true, 2])
  })
})

describe('when the log must be read anew', () => {
  const position = { version: 5, floorVersion: 0, patterns: [] }

  it('nothing in memory and nothing under way is certain', () => {
    const { invalidations, memory, fences, keep, asked } = createParts()
    keep('k', [])
    const fence = fences.open('k')
    invalidations.restart(position, false)
    expect([memory.hit('k'), fence.isBroken, asked.length]).toEqual([-1, true, 0])
  })

  it('after Redis went back in time, what was told and heard in the last 30 s is told again', async () => {
    const parts = createParts()
    const { clock, invalidations, asked } = parts
    const done = await begin(parts, { keys: ['too old'] })
    done.answer.resolve(1)
    await done.result
    await clock.advance(31_000)
    const own = await begin(parts, { keys: ['own'] })
    own.answer.resolve(2)
    await own.result
    const targets = { tags: ['heard'] }
    invalidations.apply({ kind: 'invalidation', previous: 2, version: 3, origin: 'other', targets })
    invalidations.restart({ ...position, version: 1 }, true)
    await settled()
    expect(asked.at(-1)?.targets).toMatchObject({ keys: ['own'], tags: ['heard'] })
    expect(invalidations.journal.isEmpty).toBe(false)
    asked.at(-1)?.answer.resolve(4)
    await settled()
    expect(invalidations.journal.isEmpty).toBe(true)
  })
})
