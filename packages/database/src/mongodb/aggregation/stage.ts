import { BSON, type Document } from 'mongodb'

/** A stage of a pipeline, taken apart. */
export interface Stage {
  /** `$match`, `$sort` and so on. */
  readonly name: string
  readonly body: unknown
}

/** `undefined` where it is no stage: not exactly one key. */
export function stageOf(document: Document): Stage | undefined {
  const [entry, ...others] = Object.entries(document)
  return entry === undefined || others.length > 0 ? undefined : { name: entry[0], body: entry[1] }
}

export function documentOf({ name, body }: Stage): Document {
  return { [name]: body }
}

/** The stage's body where it is a plain object, else `undefined`. */
export function bodyOf(stage: Stage | undefined, name: string): Document | undefined {
  return stage?.name === name && isPlainObject(stage.body) ? stage.body : undefined
}

/** An object literal: neither a value of BSON nor an array. */
export function isPlainObject(value: unknown): value is Document {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The first step of a path: `a` of `a.b.c`. */
export function rootOf(path: string): string {
  const dot = path.indexOf('.')
  return dot === -1 ? path : path.slice(0, dot)
}

/** Whether two values are the same bytes in BSON: `1` and `Long(1)` are not. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return keyOf(a) === keyOf(b)
}

/** The value's BSON as a text, so that a set can hold it. */
export function keyOf(value: unknown): string {
  return Buffer.from(BSON.serialize({ value })).toString('latin1')
}

/** Whether an `undefined` is in it, which a client sends as null or not at all, by its options. */
export function holdsUndefined(value: unknown): boolean {
  if (value === undefined) return true
  if (Array.isArray(value)) return value.some(holdsUndefined)
  return isPlainObject(value) && Object.values(value).some(holdsUndefined)
}
