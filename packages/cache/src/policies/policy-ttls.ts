import { duration, type Field } from '@dharma/core/config'
import type { EntryOptions } from '../entry-options.ts'

/** The durations of one policy, as a group of a config definition. */
export type PolicyTtlFields = {
  readonly ttl: Field<number | undefined, string | number>
  readonly stale: Field<number | undefined, string | number>
  readonly grace: Field<number | undefined, string | number>
  readonly negativeTtl: Field<number | undefined, string | number>
}

/**
 * What {@link policyTtls} reads: groups of durations, each under its policy's name in camel case. A loaded
 * config is one; its `describe` is left alone.
 */
export type PolicyTtlValues = Readonly<Record<string, PolicyTtlGroup | (() => unknown)>>

type PolicyTtlGroup = { readonly [F in keyof PolicyTtlFields]?: number | undefined }

const MAX_DURATION_MS = 2 ** 32 - 1

/**
 * The durations of a policy as fields of a config definition: `defineConfig('prices', { price:
 * policyTtlFields('price') })` makes `DHARMA_PRICES_PRICE_TTL` and the like. None has a default, for
 * the policy has: what is not configured stays as the policy says.
 */
export function policyTtlFields(policy: string): PolicyTtlFields {
  return {
    ttl: durationField(1, `How long entries of ${policy} are fresh`),
    stale: durationField(
      0,
      `How long after that entries of ${policy} are served while one reloads`,
    ),
    grace: durationField(0, `How long entries of ${policy} are kept for when the loader fails`),
    negativeTtl: durationField(0, `How long it is remembered that there is no ${policy}`),
  }
}

/**
 * What is configured for policies, as `createCache` takes it under `policies`: each group of the config
 * stands for the policy whose name it has (`userProfile` for `user-profile`).
 */
export function policyTtls(config: PolicyTtlValues): Record<string, EntryOptions> {
  return Object.fromEntries(
    Object.entries(config as Record<string, PolicyTtlGroup>).map(
      ([key, { ttl, stale, grace, negativeTtl }]) => [
        key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
        {
          ...(ttl !== undefined && { ttlMs: ttl }),
          ...(stale !== undefined && { staleMs: stale }),
          ...(grace !== undefined && { graceMs: grace }),
          ...(negativeTtl !== undefined && { negativeTtlMs: negativeTtl }),
        },
      ],
    ),
  )
}

function durationField(
  min: number,
  description: string,
): Field<number | undefined, string | number> {
  return duration({ optional: true, min, max: MAX_DURATION_MS, description })
}
