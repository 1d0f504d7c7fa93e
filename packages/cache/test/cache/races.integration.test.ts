import type { Cache } from '@dharma/cache'
import { uniqueName } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, inject, it } from 'vitest'
import { eventually, openCaches } from './shared-cache.ts'

/** Of each of the three ways, so that there are 10,000 in all. */
const ROUNDS = 3_334
const AT_ONCE = 200
const SHELVES = 20

/** One key of a round: its source, and what invalidates it. */
interface Subject {
  readonly key: string
  readonly tag: string
  readonly pattern: string
  version: number
}

function subjectOf(round: number): Subject {
  const shelf = `shelf${round % SHELVES}`
  return { key: `${shelf}:${round}`, tag: `tag${round}`, pattern: `${shelf}:*`, version: 1 }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Loads in one cache, and invalidates in another while the loader has read and not yet returned. */
async function race(
  subject: Subject,
  [loading, invalidating]: readonly [Cache, Cache],
  invalidate: (cache: Cache, subject: Subject) => Promise<unknown>,
): Promise<number | undefined> {
  const { key, tag } = subject
  const called = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const options = { tags: [tag] }
  const load = loading.getOrLoad(
    key,
    async () => {
      const { version } = subject
      called.resolve()
      await gate.promise
      return version
    },
    options,
  )
  await called.promise
  subject.version++
  // The loader ends before the invalidation, in the middle of it, or after it.
  if (subject.version % 2 === 0) void turn().then(() => gate.resolve())
  await invalidate(invalidating, subject)
  gate.resolve()
  const seen = await invalidating.get<number>(key)
  await load
  return seen
}

describeWithRedis(
  'in-flight races: key deleted or tag invalidated while a load is in flight',
  () => {
    it.each([
      ['key', (cache: Cache, { key }: Subject) => cache.delete(key)],
      ['tag', (cache: Cache, { tag }: Subject) => cache.invalidateTags([tag])],
      ['pattern', (cache: Cache, { pattern }: Subject) => cache.invalidatePattern(pattern)],
    ] as const)(
      `0 stale of ${ROUNDS.toLocaleString('en')}, by %s, in the same process and in another`,
      { timeout: 120_000 },
      async (_, invalidate) => {
        const caches = await openCaches(2, {
          namespace: uniqueName('races'),
          redis: inject('redisUrl'),
          timeoutMs: 5_000,
          defaults: { ttlMs: 600_000 },
        })
        const [one, other] = caches as [Cache, Cache]
        const subjects = Array.from({ length: ROUNDS }, (_unused, round) => subjectOf(round))
        const stale: string[] = []
        const queue = subjects.entries()
        const work = async (): Promise<void> => {
          for (const [round, subject] of queue) {
            const pair = [one, round % 2 === 0 ? one : other] as const
            const seen = await race(subject, pair, invalidate)
            if (seen !== undefined) stale.push(`${subject.key} in its own process`)
          }
        }
        await Promise.all(Array.from({ length: AT_ONCE }, work))
        expect(stale).toEqual([])
        // What was not fenced would be here now, in memory or in Redis.
        const keys = subjects.map(({ key }) => key)
        for (const cache of caches) {
          await eventually(async () => {
            const found = await cache.getMany<number>(keys)
            return [...found.values()].every((version) => version === 2)
          }, 2_000)
        }
        expect(one.stats().loads + other.stats().loads).toBeGreaterThanOrEqual(ROUNDS)
      },
    )
  },
)
