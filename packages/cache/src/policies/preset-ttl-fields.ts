import { policyTtlFields, type PolicyTtlFields } from './policy-ttls.ts'

/** The presets, under the names that their groups of a config have. */
export type PresetTtlShape = {
  readonly [
    Name in
      | 'userProfile'
      | 'session'
      | 'sentiment'
      | 'botDetection'
      | 'campaign'
      | 'apiResponse'
      | 'queryResult'
      | 'featureVector'
  ]: PolicyTtlFields
}

/** The durations of all presets, as groups of a config definition; read them with `policyTtls`. */
export const presetTtlFields: PresetTtlShape = {
  userProfile: policyTtlFields('user-profile'),
  session: policyTtlFields('session'),
  sentiment: policyTtlFields('sentiment'),
  botDetection: policyTtlFields('bot-detection'),
  campaign: policyTtlFields('campaign'),
  apiResponse: policyTtlFields('api-response'),
  queryResult: policyTtlFields('query-result'),
  featureVector: policyTtlFields('feature-vector'),
}
