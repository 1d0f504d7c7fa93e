import { setTimeout as pause } from 'node:timers/promises'
import type { Announcer } from './announcer.ts'
import type { Outcome } from './cache-under-test.ts'
import { EXPIRING_TTL_MS, matchingSubjects, taggedSubjects, type Subject } from './keyspace.ts'
import type { Readers, Workshop } from './readers.ts'

const WRITES = { drop: 62, set: 26, expire: 8, drop_without_write: 4 }
/** What drops many keys at once is rare: it would hide what was done wrong to each of them before. */
const WAYS = { delete: 84, deleteMany: 7, tag: 6, pattern: 2.6, clear: 0.4 }
const BROAD_TAG_RATIO = 0.15
const HOT_RATIO = 0.85
/** A load, its store and some commands may lie between a read of the source and the TTL's begin. */
const EXPIRY_SLACK_MS = 2_000

/** Writes of one process to the source, each followed by what the cache must be told. */
export class Writers {
  readonly #workshop: Workshop
  readonly #announcer: Announcer
  readonly #readers: Readers
  readonly #worker: number
  readonly #races = new Set<Promise<void>>()

  constructor(workshop: Workshop, announcer: Announcer, readers: Readers, worker: number) {
    this.#workshop = workshop
    this.#announcer = announcer
    this.#readers = readers
    this.#worker = worker
  }

  /** Writes at random, one write after the other, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, options } = this.#workshop
    while (!signal.aborted) {
      await pause(random.integer(1, 2 * options.writeEveryMs))
      await this.#writeOne()
    }
    await Promise.all(this.#races)
  }

  async #writeOne(): Promise<void> {
    const { random, judge, source, keyspace } = this.#workshop
    judge.counts.writes++
    switch (random.weighted(WRITES)) {
      case 'drop': {
        const subject = this.#pick('dropped')
        await this.#drop(subject, true)
        if (random.chance(this.#workshop.options.raceRatio)) await this.#race(subject)
        return
      }
      case 'drop_without_write': {
        // Also what this process must not set: whatever the owner does meanwhile.
        await this.#drop(random.pick(keyspace.subjects), false)
        return
      }
      case 'set': {
        await this.#set(this.#pick('written'))
        return
      }
      case 'expire': {
        const { key } = this.#pick('expiring')
        const version = await source.write(key)
        this.#announcer.expires(key, version, EXPIRING_TTL_MS + EXPIRY_SLACK_MS)
      }
    }
  }

  /** Writes again while a load of the same key is under way. */
  async #race(subject: Subject): Promise<void> {
    const { random, options } = this.#workshop
    const race = this.#readers.getOrLoad(subject)
    this.#races.add(race)
    void race.finally(() => this.#races.delete(race))
    await pause(random.integer(0, 2 * options.loaderMs))
    await this.#drop(subject, true)
  }

  async #set(subject: Subject): Promise<void> {
    const { source, cache, judge } = this.#workshop
    const { key } = subject
    const version = await source.write(key)
    judge.history.note(key, `source has v${version}, set begins`)
    const outcome = await judge.limited('set', [key], 0, () => cache.set(subject, { key, version }))
    if (outcome !== undefined) this.#announcer.resolved('set', new Map([[key, version]]), outcome)
  }

  async #drop(subject: Subject, isWritten: boolean): Promise<void> {
    const { source, cache, random, keyspace } = this.#workshop
    if (isWritten) await source.write(subject.key)
    const way = random.weighted(WAYS)
    const tag = subject.tags[random.chance(BROAD_TAG_RATIO) ? 1 : 0]
    const pattern = random.pick(keyspace.patterns)
    if (way === 'clear') {
      await this.#invalidate('clear', keyspace.subjects, () => cache.clear())
    } else if (way === 'tag' && tag !== undefined) {
      await this.#invalidate('invalidateTags', taggedSubjects(keyspace, [tag]), (keys) =>
        cache.invalidateTags([tag], keys),
      )
    } else if (way === 'pattern' && matchingSubjects(keyspace, pattern).includes(subject)) {
      await this.#invalidate('invalidatePattern', matchingSubjects(keyspace, pattern), (keys) =>
        cache.invalidatePattern(pattern, keys),
      )
    } else if (way === 'deleteMany') {
      const others = Array.from({ length: 3 }, () => random.pick(keyspace.subjects))
      await this.#invalidate('deleteMany', [...new Set([subject, ...others])], (keys) =>
        cache.delete(keys),
      )
    } else {
      await this.#invalidate('delete', [subject], (keys) => cache.delete(keys))
    }
  }

  /** What the source holds before the invalidation is the least that may be read after it. */
  async #invalidate(
    cause: string,
    covered: readonly Subject[],
    run: (keys: readonly string[]) => Promise<Outcome>,
  ): Promise<void> {
    const { source, judge } = this.#workshop
    const keys = covered.map(({ key }) => key)
    const versions = await source.readMany(keys)
    for (const [key, version] of versions) {
      judge.history.note(key, `source has v${version}, ${cause} begins`)
    }
    judge.counts.invalidations++
    const outcome = await judge.limited(cause, keys, 0, () => run(keys))
    if (outcome !== undefined) this.#announcer.resolved(cause, versions, outcome)
  }

  #pick(kind: Subject['kind']): Subject {
    const { random, keyspace } = this.#workshop
    const isHot = kind === 'expiring' || random.chance(HOT_RATIO)
    return random.pick(
      keyspace.subjects.filter(
        (subject) =>
          subject.kind === kind &&
          subject.isHot === isHot &&
          (kind !== 'written' || subject.owner === this.#worker),
      ),
    )
  }
}
