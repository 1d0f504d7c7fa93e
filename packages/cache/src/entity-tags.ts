/**
 * The tags that the preset policies give their entries and the built-in domain events invalidate.
 * Use them on entries of your own that depend on the same thing, and one event drops them all.
 */
export const entityTags: {
  /** Everything that is about one user. */
  readonly user: (userId: string | number) => string
  /** Everything that one model has computed. */
  readonly model: (model: string) => string
  /** Everything that depends on one campaign. */
  readonly campaign: (campaignId: string | number) => string
  /** Every response of one API. */
  readonly api: (api: string) => string
  /** Every result that was read from one table or collection. */
  readonly table: (table: string) => string
} = {
  user: (userId) => `user:${userId}`,
  model: (model) => `model:${model}`,
  campaign: (campaignId) => `campaign:${campaignId}`,
  api: (api) => `api:${api}`,
  table: (table) => `table:${table}`,
}
