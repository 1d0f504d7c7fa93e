import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { digest } from './digest.ts'
import { preset, type PresetOptions } from './preset.ts'

/** A session, and whose it is where that is known. */
export interface SessionId {
  readonly sessionId: string
  /** Tags the entry, so that one invalidation of the user ends all sessions that are cached. */
  readonly userId?: string | number | undefined
}

/**
 * Sessions, by their id. The id stands in the key as a digest: who reads the key space of Redis gets no
 * session to take over.
 *
 * - TTL 1 minute: a session that was revoked where no event tells of it must not live on for longer.
 * - Never stale, no grace: while the session store is away, "not known" is right and "still logged
 *   in" is a hole.
 * - No negative entries: a session that was just made must be found at once.
 * - No jitter: a TTL this short needs none, and 1 minute is then what it says.
 */
export function sessionPolicy<Value>(options?: PresetOptions<Value>): Policy<Value, SessionId> {
  return preset<Value, SessionId>(
    {
      name: 'session',
      key: ({ sessionId }) => digest(sessionId),
      tags: ({ userId }) => (userId === undefined ? [] : [entityTags.user(userId)]),
      ttlMs: 60_000,
      staleMs: 0,
      graceMs: 0,
      jitterRatio: 0,
    },
    options,
  )
}
