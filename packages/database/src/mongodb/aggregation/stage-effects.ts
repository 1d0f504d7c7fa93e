import type { Document } from 'mongodb'
import { expressionReads, sortReads, union, type Reads } from './field-reads.ts'
import { movableReads } from './match-filter.ts'
import { bodyOf, isPlainObject, rootOf, type Stage } from './stage.ts'

/**
 * Whether a field comes out of a stage as it went in, on each document that passes. Looks at root
 * fields only: setting `a.b` changes all of `a`, for it turns the numbers of an array into objects.
 */
export function leavesAlone(stage: Stage, root: string): boolean {
  const { name, body } = stage
  switch (name) {
    case '$match':
    case '$sort':
    case '$limit':
    case '$skip':
      return true
    case '$set':
    case '$addFields':
      return isPlainObject(body) && !Object.keys(body).some((path) => rootOf(path) === root)
    case '$unset':
      return !pathsOf(body).some((path) => rootOf(path) === root)
    case '$project':
      return isPlainObject(body) && projectKeeps(body, root)
    case '$unwind':
      return !unwoundRoots(body).has(root)
    case '$lookup':
    case '$graphLookup':
      return isPlainObject(body) && typeof body['as'] === 'string' && rootOf(body['as']) !== root
    default:
      return false
  }
}

/**
 * Whether a stage changes a part of a field, such as `a.b` of `a`, or of any. MongoDB itself moves a `$match`
 * on `a.c` ahead of such a stage, and thereby gives other documents where `a` is an array; a filter
 * on `a` must not be put where it would do so.
 */
export function changesWithin({ name, body }: Stage, root?: string): boolean {
  const isWithin = (path: string): boolean => {
    return path.includes('.') && (root === undefined || rootOf(path) === root)
  }
  if (name === '$unset') return pathsOf(body).some(isWithin)
  if (name === '$unwind') {
    const path: unknown = isPlainObject(body) ? body['path'] : body
    return typeof path === 'string' && isWithin(path.slice(1))
  }
  if (!isPlainObject(body)) return false
  if (name === '$lookup' || name === '$graphLookup') return isWithin(String(body['as']))
  if (name !== '$set' && name !== '$addFields' && name !== '$project') return false
  return Object.entries(body).some(([path, value]: [string, unknown]) => {
    const isNested = isPlainObject(value) && !isExpression(value)
    return (isNested && (root === undefined || rootOf(path) === root)) || isWithin(path)
  })
}

/** Whether a stage is a filter that can fail on a document, as far as can be told. */
export function canRefuse({ name, body }: Stage): boolean {
  return name === '$match' && !(isPlainObject(body) && movableReads(body) !== undefined)
}

/** The fields that a stage reads, to decide about documents or to make others; `all` if unknown. */
export function stageReads({ name, body }: Stage): Reads {
  switch (name) {
    case '$match':
      return (isPlainObject(body) ? movableReads(body) : undefined) ?? 'all'
    case '$sort':
      return sortReads(body)
    case '$limit':
    case '$skip':
    case '$count':
    case '$unset':
      return new Set()
    case '$unwind':
      return unwoundRoots(body)
    case '$set':
    case '$addFields':
      return expressionReads(body)
    case '$project':
      return isPlainObject(body) ? projectReads(body) : 'all'
    case '$group':
    case '$bucket':
    case '$bucketAuto':
    case '$sortByCount':
    case '$replaceWith':
    case '$replaceRoot':
      return expressionReads(body)
    case '$lookup':
      return isPlainObject(body) ? lookupReads(body) : 'all'
    default:
      return 'all'
  }
}

/** Paths of `$unset`, which is a text or a list. */
export function pathsOf(body: unknown): readonly string[] {
  return (Array.isArray(body) ? body : [body]).map(String)
}

/** The fields that `$unwind` changes, or reads. */
export function unwoundRoots(body: unknown): ReadonlySet<string> {
  const given: unknown[] = isPlainObject(body) ? [body['path'], body['includeArrayIndex']] : [body]
  const paths = given.filter((path) => typeof path === 'string')
  return new Set(paths.map((path) => rootOf(path.startsWith('$') ? path.slice(1) : path)))
}

/** `undefined` where a projection both keeps and drops, or cannot be told. */
export function projectMode(body: Document): 'inclusion' | 'exclusion' | undefined {
  const entries = Object.entries(body)
  // `{ a: { b: 0 } }` is `a.b` written otherwise, and says nothing at this level.
  if (entries.some(([, value]) => isPlainObject(value) && !isExpression(value))) return undefined
  const others = entries.filter(([key]) => key !== '_id')
  const deciding = others.length > 0 ? others : entries
  const isDropped = deciding.map(([, value]) => value === 0 || value === false)
  if (isDropped.every(Boolean)) return entries.some(([, v]) => !isFlag(v)) ? undefined : 'exclusion'
  return isDropped.some(Boolean) ? undefined : 'inclusion'
}

/** Whether a projection passes a root field on whole. */
export function projectKeeps(body: Document, root: string): boolean {
  const mode = projectMode(body)
  if (mode === undefined) return false
  const isNamed = Object.keys(body).some((path) => rootOf(path) === root)
  if (mode === 'exclusion') return !isNamed
  if (!isNamed) return root === '_id'
  const value: unknown = body[root]
  return value === 1 || value === true
}

function projectReads(body: Document): Reads {
  const mode = projectMode(body)
  if (mode === undefined) return 'all'
  if (mode === 'exclusion') return new Set()
  // A field that is passed on is read too: it is in what comes out. So is one that is set in part.
  const kept = Object.entries(body).filter(([path, value]: [string, unknown]) => {
    return path.includes('.') || value === true || (typeof value === 'number' && value !== 0)
  })
  return union([new Set(['_id', ...kept.map(([path]) => rootOf(path))]), expressionReads(body)])
}

function lookupReads(body: Document): Reads {
  const local: unknown = body['localField']
  const reads = new Set(typeof local === 'string' ? [rootOf(local)] : [])
  return union([reads, expressionReads(body['let'])])
}

function isExpression(value: Document): boolean {
  return Object.keys(value).some((key) => key.startsWith('$'))
}

function isFlag(value: unknown): boolean {
  return value === 0 || value === 1 || typeof value === 'boolean'
}

/** The sort pattern, where it is a plain one. */
export function sortPatternOf(stage: Stage | undefined): Document | undefined {
  const pattern = bodyOf(stage, '$sort')
  return pattern !== undefined && sortReads(pattern) !== 'all' ? pattern : undefined
}
