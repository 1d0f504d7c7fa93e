export { estimateSizeBytes } from './estimate-size.ts'
export {
  MemoryTier,
  type Freshness,
  type MemoryEntryOptions,
  type MemoryTierOptions,
} from './memory-tier.ts'
