import { systemClock } from '@dharma/core'
import { MemoryTier } from '@dharma/cache/memory'
import { describe, expect, it } from 'vitest'
import { ENTRY_DEFAULTS, resolveEntryOptions } from '../src/entry-options.ts'
import { EntryStore } from '../src/entry-store.ts'
import { Fences } from '../src/fences.ts'
import { InvalidationState } from '../src/invalidation/invalidation-state.ts'
import type { Invalidations } from '../src/invalidations.ts'
import { EntryFormat } from '../src/redis/entry-format.ts'
import type { InvalidationTargets, InvalidationWriter } from '../src/redis/invalidation-writer.ts'
import { KeyLayout } from '../src/redis/key-layout.ts'
import type { RedisSide } from '../src/redis-side.ts'
import { Writes } from '../src/writes.ts'

interface Happens {
  /** While the versions of the tags are read. */
  readonly before?: (parts: Parts) => void
  /** After Redis has written, before it says so. */
  readonly meanwhile?: (parts: Parts) => void
  /** Whether Redis takes an entry. */
  readonly takes?: (key: string) => boolean
  readonly serverMs?: number
  readonly isCluster?: boolean
}

interface Parts {
  readonly state: InvalidationState
  readonly fences: Fences
  readonly memory: MemoryTier
  readonly postponed: InvalidationTargets[]
  readonly remembered: InvalidationTargets[]
  readonly limits: (number | undefined)[]
  readonly writes: Writes
}

/** Writes before a Redis whose moments the test sees. */
function createParts({ before, meanwhile, takes, serverMs, isCluster = false }: Happens): Parts {
  const clock = systemClock
  const state = new InvalidationState({
    isShared: true,
    maxPatterns: 10,
    maxTags: 10,
    oldestLoadVersion: () => Number.POSITIVE_INFINITY,
    onEpochsExhausted: () => undefined,
  })
  state.trustedUntilMs = Number.POSITIVE_INFINITY
  const memory = new MemoryTier({ clock, view: state })
  const fences = new Fences()
  const store = new EntryStore({
    clock,
    state,
    memory,
    leased: undefined,
    maxStalenessMs: 1_000,
    earlyRefresh: 0,
    random: () => 0.5,
  })
  const postponed: InvalidationTargets[] = []
  const remembered: InvalidationTargets[] = []
  const limits: (number | undefined)[] = []
  const invalidations = {
    settled: () => Promise.resolve(),
    postpone: (targets: InvalidationTargets) => postponed.push(targets),
    remember: (targets: InvalidationTargets) => remembered.push(targets),
  } as unknown as Invalidations
  const write: InvalidationWriter['write'] = (entries, { notAfterMs }) => {
    limits.push(notAfterMs)
    meanwhile?.(parts)
    const areStored = entries.map(({ key }) => takes?.(key) !== false)
    return Promise.resolve({ areStored, version: 20 })
  }
  const side = {
    shared: {
      serverMs,
      ensureTags() {
        before?.(parts)
        return Promise.resolve()
      },
    },
    runner: { link: { isCluster } },
    layout: new KeyLayout('ns'),
    format: new EntryFormat(),
    writer: { write },
  } as unknown as RedisSide
  const writes = new Writes({
    clock,
    state,
    fences,
    memory,
    store,
    invalidations,
    side,
    timeoutMs: 250,
    random: () => 0.5,
  })
  const parts: Parts = { state, fences, memory, postponed, remembered, limits, writes }
  return parts
}

const ENTRY = resolveEntryOptions({ tags: ['t'] }, ENTRY_DEFAULTS)

const WAYS: readonly (readonly [string, (parts: Parts) => void])[] = [
  ['its key', ({ fences }) => fences.break('k')],
  ['a pattern', ({ fences }) => fences.breakAll((key) => key === 'k')],
  ['its tag, by this process', ({ state }) => state.beginTag('t')],
  ['its tag, by another', ({ state }) => state.applyTag('t', 30)],
  [
    'everything',
    ({ state, fences }) => {
      state.restart(30, 30, [])
      fences.breakAll()
    },
  ],
]

describe('a value that is written', () => {
  it('is in memory once Redis has it, and is told again should Redis lose it', async () => {
    const { writes, memory, remembered, postponed, state } = createParts({})
    expect(await writes.set([['k', 'new']], ENTRY)).toEqual({ status: 'done' })
    expect(memory.hit('k')).toBeGreaterThanOrEqual(0)
    expect([remembered, postponed, state.version]).toEqual([[{ keys: ['k'] }], [], 20])
  })

  it.each(WAYS)('is not kept if %s was invalidated while it was on its way', async (_, happens) => {
    const { writes, memory } = createParts({ meanwhile: happens })
    await writes.set([['k', 'new']], ENTRY)
    expect(memory.hit('k')).toBe(-1)
  })

  it.each(WAYS)('is not kept if %s was invalidated before it was sent', async (_, happens) => {
    const { writes, memory } = createParts({ before: happens })
    await writes.set([['k', 'new']], ENTRY)
    expect(memory.hit('k')).toBe(-1)
  })

  it('hears of its tag, however many others this process meets meanwhile', async () => {
    const { writes, memory } = createParts({
      meanwhile({ state }) {
        for (let index = 0; index < 100; index++) state.tags.record(`t${index}`)
        state.applyTag('t', 30)
      },
    })
    await writes.set([['k', 'new']], ENTRY)
    expect(memory.hit('k')).toBe(-1)
  })

  it('lets go of its tags and its fence', async () => {
    const { writes, state, fences, memory } = createParts({})
    await writes.set([['k', 'new']], ENTRY)
    memory.remove('k')
    expect([state.tags.record('t').references, fences.size]).toEqual([0, 0])
  })

  it('must arrive within its time by the clock of Redis, where there is one clock', async () => {
    const single = createParts({ serverMs: 5_000 })
    await single.writes.set([['k', 'new']], ENTRY)
    const cluster = createParts({ serverMs: 5_000, isCluster: true })
    await cluster.writes.set([['k', 'new']], ENTRY)
    expect([single.limits, cluster.limits]).toEqual([[5_250], [undefined]])
  })

  it('is sent no more once Redis has refused one before it, and is pending', async () => {
    const entries = Array.from({ length: 600 }, (_, index) => [`k${index}`, index] as const)
    const { writes, postponed, remembered, limits, memory } = createParts({
      takes: (key) => key !== 'k0',
    })
    expect(await writes.set(entries, ENTRY)).toEqual({ status: 'pending' })
    expect(limits.length).toBe(1)
    // Those that were stored with it too: that they were is not certain.
    expect(postponed.map(({ keys }) => keys?.length)).toEqual([600])
    expect(remembered).toEqual([])
    expect(memory.hit('k599')).toBeGreaterThanOrEqual(0)
  })

  it('is pending if Redis refused it, and of many only those are', async () => {
    const entries = Array.from({ length: 300 }, (_, index) => [`k${index}`, index] as const)
    const { writes, postponed, remembered, memory } = createParts({
      takes: (key) => key !== 'k299',
    })
    expect(await writes.set(entries, ENTRY)).toEqual({ status: 'pending' })
    expect(postponed.map(({ keys }) => keys)).toEqual([entries.slice(256).map(([key]) => key)])
    expect(remembered.map(({ keys }) => keys?.length)).toEqual([256])
    expect([memory.hit('k0') >= 0, memory.hit('k299') >= 0]).toEqual([true, true])
  })
})
