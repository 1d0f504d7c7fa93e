export { MongoConnectionError, MongoOperationError } from './errors.ts'
export type { InsertFailure, InsertManyOptions, InsertManyResult } from './insert-many.ts'
export { MongoManager, type MongoManagerOptions, type MongoPoolOptions } from './mongo-manager.ts'
