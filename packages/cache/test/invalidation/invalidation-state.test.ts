import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fences } from '../../src/fences.ts'
import { InvalidationState } from '../../src/invalidation/invalidation-state.ts'
import { areTagsCurrent } from '../../src/invalidation-view.ts'
import { Journal } from '../../src/invalidation/journal.ts'
import { parseLogEvent } from '../../src/invalidation/log-event.ts'

function createState(options: object = {}): InvalidationState {
  return new InvalidationState({
    isShared: true,
    maxPatterns: 3,
    maxTags: 100,
    oldestLoadVersion: () => Number.POSITIVE_INFINITY,
    onEpochsExhausted: () => undefined,
    ...options,
  })
}

describe('InvalidationState', () => {
  it('never calls an entry current that any applied invalidation covers, in whatever order they came', () => {
    const invalidation = fc.oneof(
      fc.record({ kind: fc.constant('tag' as const), name: fc.constantFrom('t', 'u') }),
      fc.record({
        kind: fc.constant('pattern' as const),
        name: fc.constantFrom('a*', 'b*', '*1', '*2', 'c?'),
      }),
      fc.record({ kind: fc.constant('clear' as const), name: fc.constant('') }),
    )
    fc.assert(
      fc.property(
        fc.array(invalidation, { maxLength: 12 }),
        fc.array(fc.nat(20), { maxLength: 12 }),
        fc.nat(14),
        (all, order, version) => {
          const state = createState()
          state.learnTag(state.tags.record('t'), 0)
          state.sawVersion(100)
          const numbered = all.map((one, index) => ({ ...one, version: index + 1 }))
          const shuffled = numbered.toSorted(
            (a, b) => (order[a.version] ?? 0) - (order[b.version] ?? 0),
          )
          for (const { kind, name, version: number } of shuffled) {
            if (kind === 'tag') state.applyTag(name, number)
            else if (kind === 'pattern') state.applyPattern(name, number)
            else state.applyClear(number)
          }
          const covers = { tag: 't', 'a*': true, '*1': true }
          const isCovered = numbered.some(
            ({ kind, name, version: number }) =>
              number > version &&
              (kind === 'clear' || name === covers.tag || (kind === 'pattern' && name in covers)),
          )
          const verdict = state.judge('a1', { version, tags: ['t'] })
          expect(isCovered && verdict !== 'outdated').toBe(false)
        },
      ),
    )
  })

  it('asks about tags it does not know and entries from beyond what it knows', () => {
    const state = createState()
    state.sawVersion(10)
    expect(state.judge('k', { version: 5, tags: ['t'] })).toBe('ask')
    state.learnTag(state.tags.record('t'), 5)
    expect(state.judge('k', { version: 5, tags: ['t'] })).toBe('current')
    expect(state.judge('k', { version: 11, tags: [] })).toBe('ask')
    state.learnTag(state.tags.record('t'), 3)
    state.applyTag('t', 6)
    expect(state.judge('k', { version: 5, tags: ['t'] })).toBe('outdated')
  })

  it('calls nothing current while a clear is under way, and older patterns drop what they might cover', () => {
    const state = createState()
    state.sawVersion(10)
    state.beginClear()
    expect(state.judge('k', { version: 10, tags: [] })).toBe('outdated')
    state.endClear()
    state.beginPattern('k*')
    expect(state.judge('k', { version: 10, tags: [] })).toBe('outdated')
    state.applyPattern('k*', 11)
    expect(state.judge('k', { version: 11, tags: [] })).toBe('current')
    for (const pattern of ['a', 'b', 'c']) state.applyPattern(pattern, 12)
    expect(state.judge('x', { version: 10, tags: [] })).toBe('outdated')
    expect(state.isKeyInvalidated('x', 1)).toBe(true)
  })

  it('forgets tags when it begins anew, and takes over the patterns of Redis', () => {
    const state = createState()
    state.learnTag(state.tags.record('t'), 1)
    const { epoch } = state
    state.restart(50, 20, [[30, 'a*']])
    expect(state.patternEpoch).toBeGreaterThan(epoch)
    expect(state.judge('b', { version: 19, tags: [] })).toBe('outdated')
    expect(state.judge('a', { version: 25, tags: [] })).toBe('outdated')
    expect(state.judge('b', { version: 25, tags: [] })).toBe('current')
    expect(state.judge('b', { version: 25, tags: ['t'] })).toBe('ask')
  })

  it('a tag whose new version Redis tells before the log does is out of memory all the same', () => {
    const state = createState()
    const record = state.tags.record('t')
    state.learnTag(record, 5)
    const stamp = state.epoch
    // Another entry was read that made this process ask Redis for the tag.
    state.learnTag(record, 9)
    state.applyTag('t', 9)
    expect(areTagsCurrent([record], stamp)).toBe(false)
  })

  it('a tag that becomes known leaves what depends on it as it is', () => {
    const state = createState()
    const record = state.tags.record('t')
    const stamp = state.epoch
    state.learnTag(record, 5)
    expect(areTagsCurrent([record], stamp)).toBe(true)
  })

  it('a clear that comes after younger patterns empties memory all the same', () => {
    const state = createState()
    for (const pattern of ['a', 'b', 'c', 'd', 'e']) state.applyPattern(pattern, 50)
    const stamp = state.epoch
    state.applyClear(40)
    expect(state.isKeyInvalidated('k', stamp)).toBe(true)
    expect(state.judge('k', { version: 49, tags: [] })).toBe('outdated')
    expect(state.judge('k', { version: 50, tags: [] })).toBe('current')
  })

  it('a pattern that there is no room for any more still rules out what it covered', () => {
    const state = createState()
    const stamp = state.epoch
    for (const pattern of ['a', 'b', 'c', 'd']) state.applyPattern(pattern, 50)
    expect(state.isKeyInvalidated('a', stamp)).toBe(true)
    expect(state.isKeyInvalidated('other', state.epoch)).toBe(false)
  })

  it('keeps the records of tags on which a load under way depends', () => {
    const state = createState({ maxTags: 10 })
    const held = state.tags.hold(['held'])
    for (let index = 0; index < 100; index++) state.tags.record(`t${index}`)
    expect(state.tags.peek('held')).toBe(held[0])
    state.tags.release(held)
    for (let index = 100; index < 300; index++) state.tags.record(`t${index}`)
    expect(state.tags.peek('held')).toBeUndefined()
  })

  it('drops everything when its epochs run out', () => {
    let isExhausted = false
    const state = createState({ onEpochsExhausted: () => (isExhausted = true) })
    state.applyPattern('a*', 1)
    state.epoch = 2 ** 32 - 2
    state.applyClear(2)
    expect([isExhausted, state.epoch]).toEqual([true, 2])
  })

  it('keeps tags that were invalidated since the oldest load began, which may name them yet', () => {
    const state = createState({ isShared: false, maxTags: 10, oldestLoadVersion: () => 5 })
    state.applyTag('before', 5)
    state.applyTag('since', 6)
    for (let index = 0; index < 100; index++) state.tags.record(`t${index}`)
    expect(state.tags.peek('before')).toBeUndefined()
    expect(state.tags.peek('since')?.version).toBe(6)
  })

  it('lets go of tags that nothing refers to', () => {
    const state = createState({ maxTags: 10 })
    const kept = state.tags.record('kept')
    kept.references = 1
    for (let index = 0; index < 100; index++) state.tags.record(`t${index}`)
    expect(state.tags.size).toBeLessThanOrEqual(22)
    expect(state.tags.peek('kept')).toBe(kept)
  })
})

describe('Journal', () => {
  it('gives out all that waits, once, and takes back what failed', () => {
    const journal = new Journal()
    journal.add({ keys: ['a'], tags: ['t'], patterns: ['p*'] })
    const taken = journal.take()
    expect(taken).toEqual({ keys: ['a'], tags: ['t'], patterns: ['p*'], everything: false })
    expect([journal.size, journal.isEmpty]).toEqual([0, false])
    journal.add({ keys: ['b'] })
    journal.settle(false)
    expect(journal.take().keys.toSorted()).toEqual(['a', 'b'])
    journal.settle(true)
    expect(journal.isEmpty).toBe(true)
  })

  it('becomes one invalidation of everything when it grows too long', () => {
    const journal = new Journal()
    journal.add({ keys: Array.from({ length: 10_001 }, (_, index) => `k${index}`) })
    expect(journal.size).toBe(1)
    journal.add({ keys: ['more'] })
    expect(journal.take()).toEqual({ keys: [], tags: [], patterns: [], everything: true })
  })
})

describe('Fences', () => {
  it('break all that are open for the key, and no others', () => {
    const fences = new Fences()
    const [first, second, other] = [fences.open('k'), fences.open('k'), fences.open('o')]
    const closed = fences.open('k')
    fences.close(closed)
    fences.close(first)
    fences.break('k')
    expect([first.isBroken, second.isBroken, closed.isBroken, other.isBroken]).toEqual([
      false,
      true,
      false,
      false,
    ])
    fences.breakAll((key) => key === 'o')
    expect([other.isBroken, fences.size]).toEqual([true, 0])
    fences.close(other)
  })
})

describe('parseLogEvent', () => {
  const fields = (record: object): Buffer[] =>
    Object.entries(record)
      .flat()
      .map((text) => Buffer.from(String(text)))

  it('reads what the scripts write', () => {
    expect(parseLogEvent(fields({ f: 'k' }))).toEqual({ kind: 'filled', key: 'k' })
    expect(parseLogEvent(fields({ p: 1, v: 2, o: 'me', x: '{"k":["a"],"t":["b"]}' }))).toEqual({
      kind: 'invalidation',
      previous: 1,
      version: 2,
      origin: 'me',
      targets: { keys: ['a'], tags: ['b'], patterns: [], everything: false },
    })
  })

  it('takes a record that it cannot read as everything, and passes over what is none', () => {
    expect(parseLogEvent(fields({ p: 1, v: 2, x: '{' }))).toMatchObject({
      targets: { everything: true },
    })
    expect(parseLogEvent(fields({ other: 1 }))).toBeUndefined()
  })
})
