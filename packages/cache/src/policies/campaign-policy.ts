import { entityTags } from '../entity-tags.ts'
import type { Policy } from '../policy.ts'
import { preset, type PresetOptions } from './preset.ts'

/**
 * Campaigns, by their id. Tagged with the campaign, so that `campaign.changed` drops them.
 *
 * - TTL 5 minutes: start, end and budget are money. A change is announced; one that is not (a budget
 *   that ran out) is noticed within minutes.
 * - Stale for 30 seconds more: serving ads never waits for a reload.
 * - Grace 15 minutes: running on the last known state is what a business wants while the database is
 *   away, but not for so long that a campaign which was stopped runs for the night.
 * - Negative 10 seconds: a campaign that was just created is asked for at once.
 */
export function campaignPolicy<Value>(
  options?: PresetOptions<Value>,
): Policy<Value, string | number> {
  return preset<Value, string | number>(
    {
      name: 'campaign',
      key: (campaignId) => campaignId,
      tags: (campaignId) => [entityTags.campaign(campaignId)],
      ttlMs: 300_000,
      staleMs: 30_000,
      graceMs: 900_000,
      negativeTtlMs: 10_000,
    },
    options,
  )
}
