export { entityTags } from '../entity-tags.ts'
export { apiResponsePolicy, type ApiResponseId } from './api-response-policy.ts'
export { botDetectionPolicy, type BotDetectionId } from './bot-detection-policy.ts'
export { campaignPolicy } from './campaign-policy.ts'
export { definePolicy } from './define-policy.ts'
export { featureVectorPolicy, type FeatureVectorId } from './feature-vector-policy.ts'
export {
  policyTtlFields,
  policyTtls,
  type PolicyTtlFields,
  type PolicyTtlValues,
} from './policy-ttls.ts'
export type { PresetOptions } from './preset.ts'
export { presetTtlFields, type PresetTtlShape } from './preset-ttl-fields.ts'
export { queryResultPolicy, type QueryResultId } from './query-result-policy.ts'
export { sentimentPolicy, type SentimentId } from './sentiment-policy.ts'
export { sessionPolicy, type SessionId } from './session-policy.ts'
export { userProfilePolicy } from './user-profile-policy.ts'
