/**
 * How a key's older values come to an end. `dropped`: whoever writes the source invalidates the key
 * then. `written`: one process alone writes the source and sets the key. `expiring`: nobody tells the
 * cache; only the TTL bounds its age.
 */
type SubjectKind = 'dropped' | 'written' | 'expiring'

/** A key of the checker, and the options it is cached with. */
export interface Subject {
  readonly key: string
  readonly kind: SubjectKind
  /** Written often. Cold keys rest longer than `maxStalenessMs`, so that a lost invalidation shows. */
  readonly isHot: boolean
  /** Number of the process that may `set` it. */
  readonly owner: number
  readonly tags: readonly string[]
  readonly ttlMs: number
  readonly staleMs: number
  readonly graceMs: number
}

/** Everything that the processes of a run read and write. */
export interface Keyspace {
  readonly subjects: readonly Subject[]
  readonly tags: readonly string[]
  readonly patterns: readonly string[]
}

const SHELVES = 5
const LONG_TTL_MS = 60_000
/** TTL of keys that nobody invalidates. */
export const EXPIRING_TTL_MS = 600

/** The same keys in every run, shared among so many processes. */
export function createKeyspace(workers: number): Keyspace {
  const subjects: Subject[] = []
  const add = (kind: SubjectKind, isHot: boolean, count: number): void => {
    for (let index = 0; index < count; index++) {
      const key = `${kind}:${isHot ? 'hot' : 'cold'}:${index}`
      const isBrief = kind === 'dropped' && isHot && index % 2 === 0
      subjects.push({
        key,
        kind,
        isHot,
        owner: index % workers,
        tags: kind === 'expiring' ? [] : [`shelf:${index % SHELVES}`, `kind:${kind}`],
        ttlMs: kind === 'expiring' ? EXPIRING_TTL_MS : isBrief ? 300 : LONG_TTL_MS,
        staleMs: isBrief ? 300 : 0,
        graceMs: isBrief ? 2_000 : 0,
      })
    }
  }
  add('dropped', true, 8)
  add('dropped', false, 16)
  add('written', true, 6)
  add('written', false, 9)
  add('expiring', true, 4)
  return {
    subjects,
    tags: [...Array.from({ length: SHELVES }, (_, index) => `shelf:${index}`), 'kind:dropped'],
    patterns: ['dropped:hot:*', 'dropped:cold:?', '*:cold:1*', 'written:*', 'dropped:[ch]o*:3'],
  }
}

/** Subjects whose entry an invalidation of the tags drops. */
export function taggedSubjects({ subjects }: Keyspace, tags: readonly string[]): Subject[] {
  return subjects.filter((subject) => subject.tags.some((tag) => tags.includes(tag)))
}

/** Subjects whose key the glob matches. An independent, plain implementation: it judges the cache's. */
export function matchingSubjects({ subjects }: Keyspace, pattern: string): Subject[] {
  const source = pattern.replaceAll('*', '.*').replaceAll('?', '.')
  const expression = new RegExp(`^${source}$`, 'u')
  return subjects.filter(({ key }) => expression.test(key))
}
