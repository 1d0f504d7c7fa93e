import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { v8Codec } from '../redis/codecs.ts'
import { preset, type PresetOptions } from './preset.ts'

/** What a vector describes, and the model it is made for. */
export interface FeatureVectorId {
  readonly model: string
  readonly entity: string
}

/**
 * Feature vectors, by model and entity. Tagged with the model, so that `model.updated` drops them: vectors
 * of two versions of a model must never be compared.
 *
 * - TTL 15 minutes: features are made of counts and averages over hours, which a quarter of an hour
 *   hardly moves, and making one costs many reads.
 * - Stale for 15 minutes more: a model's answer changes less by an old feature than by a missing one,
 *   and inference has no time to wait.
 * - Grace 1 hour, for the same reason.
 * - Codec `v8`: it keeps `Float32Array` as it is; JSON would not.
 */
export function featureVectorPolicy<Value = Float32Array>(
  options?: PresetOptions<Value>,
): Policy<Value, FeatureVectorId> {
  return preset<Value, FeatureVectorId>(
    {
      name: 'feature-vector',
      key: ({ model, entity }) => [model, entity],
      tags: ({ model }) => [entityTags.model(model)],
      ttlMs: 900_000,
      staleMs: 900_000,
      graceMs: 3_600_000,
      codec: v8Codec,
    },
    options,
  )
}
