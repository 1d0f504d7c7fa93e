import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { preset, type PresetOptions } from './preset.ts'

/** Who is judged, and by which model. */
export interface BotDetectionId {
  readonly model: string
  /** Whatever tells clients apart: a fingerprint, an address, a user's id. */
  readonly client: string
}

/**
 * Verdicts on clients, by model and client. Tagged with the model, so that `model.updated` drops them.
 *
 * - TTL 2 minutes: long enough that the burst of one client costs one verdict, short enough that one
 *   who begins to misbehave is not trusted for long, and one judged wrongly gets in again.
 * - Early refresh: the clients that come most often, bots above all, are judged again before their
 *   verdict expires, so that no burst hits the model at once.
 * - Grace 10 minutes: with the model away, the last verdict is better than letting everybody in.
 */
export function botDetectionPolicy<Value>(
  options?: PresetOptions<Value>,
): Policy<Value, BotDetectionId> {
  return preset<Value, BotDetectionId>(
    {
      name: 'bot-detection',
      key: ({ model, client }) => [model, client],
      tags: ({ model }) => [entityTags.model(model)],
      ttlMs: 120_000,
      staleMs: 0,
      graceMs: 600_000,
      earlyRefresh: 1,
    },
    options,
  )
}
