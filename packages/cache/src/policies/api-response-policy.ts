import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { digest } from './digest.ts'
import { preset, type PresetOptions } from './preset.ts'

/** A request whose answer depends on nothing else. */
export interface ApiResponseId {
  /** The API that answers; its tag drops all of its responses. */
  readonly api: string
  readonly path: string
  /** Query parameters, in any order. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
  /** Whatever else the answer varies by: language, tenant, the caller's role. */
  readonly varyBy?: string | undefined
}

/**
 * Responses of APIs, by path and parameters. Tagged with the API.
 *
 * - TTL 30 seconds: nobody announces changes of somebody else's data, so the TTL is all there is. Half
 *   a minute takes the repeated requests of a page and its users, and is not noticed.
 * - Stale for 5 minutes more: an answer at once and a reload behind (RFC 5861), for an API's latency
 *   is not ours to improve.
 * - Grace 1 hour: an API that is down is no outage of ours.
 * - Negative 5 seconds: a 404 is asked again soon, but not a thousand times in a second.
 */
export function apiResponsePolicy<Value>(
  options?: PresetOptions<Value>,
): Policy<Value, ApiResponseId> {
  return preset<Value, ApiResponseId>(
    {
      name: 'api-response',
      key: ({ api, path, parameters = {}, varyBy = '' }) => [
        api,
        path,
        digest([parameters, varyBy]),
      ],
      tags: ({ api }) => [entityTags.api(api)],
      ttlMs: 30_000,
      staleMs: 300_000,
      graceMs: 3_600_000,
      negativeTtlMs: 5_000,
    },
    options,
  )
}
