/** Keys whose string values name things and are part of the shape. */
const NAMING: ReadonlySet<string> = new Set([
  'from',
  'localField',
  'foreignField',
  'as',
  'coll',
  'into',
  'connectFromField',
  'connectToField',
  'startWith',
  'path',
  'newRoot',
])
/** Stages and options whose numbers say an order, not a value. */
const ORDERING: ReadonlySet<string> = new Set(['$sort', 'sort', 'sortBy'])
/** Lists whose length does not matter. */
const LISTS: ReadonlySet<string> = new Set(['$in', '$nin', '$all', '$mod'])
const MAX_DEPTH = 32

/**
 * The shape of a MongoDB operation: keys and operators kept, values replaced by `?`, lists of `$in`
 * collapsed. Field paths of expressions (`$name`) stay, and so does the order of a sort.
 */
export function mongoShape(operation: string, collection: string, query: unknown): string {
  return `${operation} ${collection} ${shapeOf(query, '', false, 0)}`
}

function shapeOf(value: unknown, key: string, isOrder: boolean, depth: number): string {
  if (depth > MAX_DEPTH) return '…'
  if (Array.isArray(value)) {
    if (LISTS.has(key)) return '[?]'
    const parts = value.map((one) => shapeOf(one, '', isOrder, depth + 1))
    // A list of plain values is a value.
    return parts.every((part) => part === '?') ? '?' : `[${parts.join(',')}]`
  }
  if (isPlainObject(value)) {
    const entries = Object.entries(value).map(([name, child]) => {
      return `${name}:${shapeOf(child, name, isOrder || ORDERING.has(name), depth + 1)}`
    })
    return `{${entries.join(',')}}`
  }
  if (isOrder && typeof value === 'number') return String(value)
  if (typeof value !== 'string') return '?'
  return value.startsWith('$') || NAMING.has(key) ? value : '?'
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
