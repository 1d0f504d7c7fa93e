import { systemClock } from '@dharma/core'
import { MemoryTier } from '@dharma/cache/memory'
import { describe, expect, it } from 'vitest'
import { ENTRY_DEFAULTS, resolveEntryOptions } from '../src/entry-options.ts'
import { EntryStore } from '../src/entry-store.ts'
import type { Flight } from '../src/flight.ts'
import type { LeasedLoads } from '../src/leased-loads.ts'
import { Fences } from '../src/fences.ts'
import { InvalidationState } from '../src/invalidation/invalidation-state.ts'

function createStore(leased?: LeasedLoads) {
  const state = new InvalidationState({
    isShared: true,
    maxPatterns: 10,
    maxTags: 100,
    oldestLoadVersion: () => Number.POSITIVE_INFINITY,
    onEpochsExhausted: () => undefined,
  })
  state.trustedUntilMs = Number.POSITIVE_INFINITY
  const memory = new MemoryTier({ clock: systemClock, view: state })
  const store = new EntryStore({
    clock: systemClock,
    state,
    memory,
    leased,
    maxStalenessMs: 1_000,
    earlyRefresh: 0,
    random: () => 0.5,
  })
  return { state, memory, store, fences: new Fences() }
}

const HIT = {
  kind: 'hit',
  value: 'old',
  header: {
    version: 10,
    createdMs: 0,
    ttlMs: 60_000,
    staleMs: 0,
    graceMs: 0,
    loadMs: 0,
    isNegative: false,
    tags: ['t'],
  },
  ageMs: 0,
  sizeBytes: 1,
  bytes: Buffer.alloc(0),
  askedMs: 0,
} as const

describe('what Redis had is kept in memory', () => {
  it('while nothing has invalidated it', () => {
    const { state, memory, store, fences } = createStore()
    state.learnTag(state.tags.record('t'), 10)
    store.keepRead('k', HIT, fences.open('k'))
    expect(memory.hit('k')).toBeGreaterThanOrEqual(0)
  })

  it.each([
    ['its tag', (state: InvalidationState) => state.applyTag('t', 11)],
    [
      'its key',
      (_: InvalidationState, fences: Fences) => {
        fences.break('k')
      },
    ],
    [
      'a pattern',
      (_: InvalidationState, fences: Fences) => {
        fences.breakAll((key) => key === 'k')
      },
    ],
  ])('not if %s was invalidated between the answer and now', (_, invalidate) => {
    const { state, memory, store, fences } = createStore()
    state.learnTag(state.tags.record('t'), 10)
    const fence = fences.open('k')
    invalidate(state, fences)
    store.keepRead('k', HIT, fence)
    expect(memory.hit('k')).toBe(-1)
  })

  it('no longer than the staleness allowed, if this process is not sure to hear of invalidations', () => {
    const { state, memory, store, fences } = createStore()
    state.trustedUntilMs = Number.NEGATIVE_INFINITY
    const isLate = { ...HIT, askedMs: systemClock.monotonicMs() - 1_001 }
    store.keepRead('k', isLate, fences.open('k'))
    expect(memory.hit('k')).toBe(-1)
    store.keepRead('k', { ...HIT, askedMs: systemClock.monotonicMs() }, fences.open('k'))
    expect(memory.hit('k')).toBeGreaterThanOrEqual(0)
  })
})

/** A load whose tag is `t`, and what comes of it. `meanwhile`: while Redis stores it. */
async function keepLoaded(happens: {
  readonly before?: (parts: ReturnType<typeof createStore>) => void
  readonly meanwhile?: (parts: ReturnType<typeof createStore>) => void
  readonly outcome?: 'stored' | 'refused' | 'unreachable'
}) {
  const did: string[] = []
  const parts: ReturnType<typeof createStore> = createStore({
    fill() {
      did.push('fill')
      happens.meanwhile?.(parts)
      return Promise.resolve(happens.outcome ?? 'stored')
    },
    giveUp: () => did.push('give up'),
    resolveLateTags: () => Promise.resolve(),
  } as unknown as LeasedLoads)
  const { state, store, fences, memory } = parts
  state.learnTag(state.tags.record('t'), 10)
  state.sawVersion(10)
  const flight: Flight = {
    key: 'k',
    fence: fences.open('k'),
    abort: new AbortController(),
    tags: [state.tags.record('t')],
    startEpoch: state.epoch,
    startVersion: 10,
    startMs: systemClock.monotonicMs(),
    stale: undefined,
    callers: 1,
    result: Promise.resolve({ value: 'old' }),
  }
  happens.before?.(parts)
  const right = { token: 'a', version: 10, serverMs: 0, grantedMs: 0 }
  const entry = resolveEntryOptions({}, ENTRY_DEFAULTS)
  const loaded = { value: 'old', loadMs: 1, late: [], isSkipped: false, entry, right }
  await store.keepLoaded(flight, loaded)
  return { did, isKept: memory.hit('k') >= 0 }
}

describe('what a loader made is kept', () => {
  it('in both tiers, while nothing has met it', async () => {
    expect(await keepLoaded({})).toEqual({ did: ['fill'], isKept: true })
  })

  it.each<readonly [string, (parts: ReturnType<typeof createStore>) => void]>([
    ['its key', ({ fences }) => fences.break('k')],
    ['its tag, by this process', ({ state }) => state.beginTag('t')],
    ['its tag, by another', ({ state }) => state.applyTag('t', 11)],
    [
      'its tag, which Redis told before the load began',
      ({ state }) => {
        state.tags.record('t').version = 11
      },
    ],
  ])('nowhere if %s was invalidated before it was ready', async (_, before) => {
    expect(await keepLoaded({ before })).toEqual({ did: ['give up'], isKept: false })
  })

  it.each<readonly [string, (parts: ReturnType<typeof createStore>) => void]>([
    ['its key', ({ fences }) => fences.break('k')],
    ['its tag', ({ state }) => state.applyTag('t', 11)],
  ])('not in memory if %s was invalidated while Redis stored it', async (_, meanwhile) => {
    expect(await keepLoaded({ meanwhile })).toEqual({ did: ['fill'], isKept: false })
  })

  it('not in memory if Redis refused it', async () => {
    expect(await keepLoaded({ outcome: 'refused' })).toEqual({ did: ['fill'], isKept: false })
  })
})
