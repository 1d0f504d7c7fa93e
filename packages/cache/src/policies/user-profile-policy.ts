import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { preset, type PresetOptions } from './preset.ts'

/**
 * Profiles of users, by the user's id. Tagged with the user, so that `user-profile.updated` drops them.
 *
 * - TTL 10 minutes: a profile is read with almost every request and changes a few times a month. A
 *   change is announced, so the TTL only bounds what an unannounced one (a script, a restore) costs.
 * - Stale for 1 minute more: no request waits for a reload of a profile that somebody uses.
 * - Grace 1 hour: a slightly old profile is better than an error page while the database is away.
 * - Negative 30 seconds: who has just registered is not unknown for long.
 */
export function userProfilePolicy<Value>(
  options?: PresetOptions<Value>,
): Policy<Value, string | number> {
  return preset<Value, string | number>(
    {
      name: 'user-profile',
      key: (userId) => userId,
      tags: (userId) => [entityTags.user(userId)],
      ttlMs: 600_000,
      staleMs: 60_000,
      graceMs: 3_600_000,
      negativeTtlMs: 30_000,
    },
    options,
  )
}
