export type { KeyvStoreOptions } from './keyv-entries.ts'
export {
  KeyvStore,
  type KeyvStoreCapabilities,
  type KeyvStored,
  type KeyvStoreEntry,
} from './keyv-store.ts'
export { Keyv5Store } from './keyv5-store.ts'
