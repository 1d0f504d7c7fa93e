import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { digest } from './digest.ts'
import { preset, type PresetOptions } from './preset.ts'

/** A text, and the model that reads it. */
export interface SentimentId {
  readonly model: string
  readonly text: string
}

/**
 * Sentiment results, by model and text. The text stands in the key as a digest, for it is long and may be
 * private. Tagged with the model, so that `model.updated` drops them.
 *
 * - TTL 7 days: the result is a function of model and text, so it is right until the model changes,
 *   and that is announced. A week bounds what texts that nobody sends again cost in memory.
 * - Jitter 10 %: results are often made by a batch in one minute, and must not expire in one.
 * - Grace 7 days: as long as the model is the same, an older result is the same result.
 */
export function sentimentPolicy<Value>(options?: PresetOptions<Value>): Policy<Value, SentimentId> {
  return preset<Value, SentimentId>(
    {
      name: 'sentiment',
      key: ({ model, text }) => [model, digest(text)],
      tags: ({ model }) => [entityTags.model(model)],
      ttlMs: 604_800_000,
      graceMs: 604_800_000,
      jitterRatio: 0.1,
    },
    options,
  )
}
