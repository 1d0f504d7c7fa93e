import { isPlainObject, rootOf } from './stage.ts'

/** Root fields that something reads; `all` where that cannot be told, or is the whole document. */
export type Reads = ReadonlySet<string> | 'all'

/** Operators that read fields without a path that starts with `$`. */
const READS_ANYTHING: ReadonlySet<string> = new Set([
  '$getField',
  '$setField',
  '$unsetField',
  '$meta',
])

export function union(reads: readonly Reads[]): Reads {
  const roots = new Set<string>()
  for (const one of reads) {
    if (one === 'all') return 'all'
    for (const root of one) roots.add(root)
  }
  return roots
}

export function readsRoot(reads: Reads, root: string): boolean {
  return reads === 'all' || reads.has(root)
}

/** What an aggregation expression reads of the document. */
export function expressionReads(expression: unknown): Reads {
  if (typeof expression === 'string') return pathReads(expression)
  if (Array.isArray(expression)) return union(expression.map(expressionReads))
  if (!isPlainObject(expression)) return new Set()
  return union(
    Object.entries(expression).map(([key, value]: [string, unknown]) => {
      if (key === '$literal') return new Set<string>()
      if (READS_ANYTHING.has(key)) return 'all'
      // `$top` and its kin name their keys as a sort does.
      if (key === 'sortBy' && isPlainObject(value)) return sortReads(value)
      return expressionReads(value)
    }),
  )
}

/** What a sort pattern reads. */
export function sortReads(pattern: unknown): Reads {
  if (!isPlainObject(pattern)) return 'all'
  const isPlain = Object.values(pattern).every((value) => value === 1 || value === -1)
  return isPlain ? new Set(Object.keys(pattern).map(rootOf)) : 'all'
}

function pathReads(text: string): Reads {
  if (text.startsWith('$$')) {
    const [variable = '', field] = text.slice(2).split('.')
    if (variable !== 'ROOT' && variable !== 'CURRENT') return new Set()
    return field === undefined ? 'all' : new Set([field])
  }
  return text.startsWith('$') ? new Set([rootOf(text.slice(1))]) : new Set()
}
