import { BSON, type AnyBulkWriteOperation, type Document } from 'mongodb'
import { isPlainObject, keyOf } from './aggregation/stage.ts'

/** Kinds that the server takes in one command each. */
export type WriteKind = 'insert' | 'update' | 'delete'

/** Changes that leave a document the same when they are made twice. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  '$set',
  '$unset',
  '$max',
  '$min',
  '$addToSet',
  '$setOnInsert',
])

/** @throws TypeError for what is no operation */
export function kindOf(operation: AnyBulkWriteOperation): WriteKind {
  if ('insertOne' in operation) return 'insert'
  if ('deleteOne' in operation || 'deleteMany' in operation) return 'delete'
  if ('updateOne' in operation || 'updateMany' in operation || 'replaceOne' in operation) {
    return 'update'
  }
  throw new TypeError(`no bulk operation: ${Object.keys(operation).join(', ') || 'no key'}`)
}

/** Whether sending it twice does what sending it once does. */
export function isRepeatable({
  operation,
  hasOwnId,
}: {
  readonly operation: AnyBulkWriteOperation
  readonly hasOwnId: boolean
}): boolean {
  if ('insertOne' in operation) return hasOwnId
  if (documentKeyOf(operation) === undefined) return false
  if (!('updateOne' in operation)) return true
  const { update } = operation.updateOne
  return isPlainObject(update) && Object.keys(update).every((operator) => IDEMPOTENT.has(operator))
}

/**
 * The `_id` of the only document that an operation can concern, as a text; `undefined` where it
 * names none. Equal ids have equal texts, whatever their type of number.
 */
export function documentKeyOf(operation: AnyBulkWriteOperation): string | undefined {
  if ('insertOne' in operation) return idKey(operation.insertOne.document['_id'])
  if ('updateOne' in operation) return filterKey(operation.updateOne.filter)
  if ('replaceOne' in operation) return filterKey(operation.replaceOne.filter)
  if ('deleteOne' in operation) return filterKey(operation.deleteOne.filter)
  return undefined
}

/** Only a filter on nothing but the `_id`: another condition may be met by another operation's change. */
function filterKey(filter: Document): string | undefined {
  const keys = Object.keys(filter)
  if (keys.length !== 1 || keys[0] !== '_id') return undefined
  const id: unknown = filter['_id']
  const isEquality = isPlainObject(id) && Object.keys(id).length === 1 && '$eq' in id
  return idKey(isEquality ? id['$eq'] : id)
}

function idKey(id: unknown): string | undefined {
  // Numbers of every type are equal to one another, and are told apart by their value only.
  if (typeof id === 'number') return Number.isFinite(id) ? `n${id === 0 ? 0 : id}` : undefined
  if (id instanceof BSON.ObjectId || typeof id === 'string' || id instanceof Date) return keyOf(id)
  return undefined
}
