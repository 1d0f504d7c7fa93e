import { distinctValues, type ColumnFacts } from '../catalog/catalog.ts'
import type { IndexForm, IndexKey } from './index-form.ts'

const BLOCK = 8_192
/** Leaf pages are filled to 90 %, less the page's own header. */
const USABLE = BLOCK * 0.9 - 40
/** Types whose equal values may differ in their bytes, so that B-trees do not deduplicate them. */
const NOT_DEDUPLICATED = /^(?:numeric|float4|float8|jsonb|_.*|.*range)$/
/** Source: PostgreSQL manual, "Deduplication": a posting list takes up to a sixth of a page. */
const POSTING_BYTES = BLOCK / 6

/**
 * Bytes that an index will take. Repeated keys of B-trees are kept once for many rows: where keys are
 * few, a row costs 6 bytes.
 */
export function indexSizeBytes(form: IndexForm): number {
  const { table, method, keys, include, fraction } = form
  const rows = Math.max(1, table.rows * fraction)
  if (method === 'brin') return BLOCK * (3 + Math.ceil(table.pages / 128 / 200))
  if (method === 'gin') return ginBytes(keys, rows)
  const keyBytes = align(keys.reduce((sum, key) => sum + widthOf(key), 0) + includedBytes(include))
  const tuple = 8 + 4 + keyBytes
  const distinct = distinctKeys(form, rows)
  const canDeduplicate = include.length === 0 && keys.every(isDeduplicated)
  const perKey = rows / distinct
  if (!canDeduplicate || perKey < 2) return pages(rows * tuple)
  const lists = distinct * Math.max(1, Math.ceil((perKey * 6) / POSTING_BYTES))
  return pages(lists * tuple + rows * 6)
}

function ginBytes(keys: readonly IndexKey[], rows: number): number {
  const width = keys.reduce((sum, key) => sum + widthOf(key), 0)
  const isTrigram = keys.some(({ operatorClass }) => operatorClass === 'gin_trgm_ops')
  // Posting lists are compressed to 1–2 bytes an entry; a text has a trigram a character.
  const entries = isTrigram ? width : Math.max(1, width / 12)
  return pages(rows * (entries * 1.6 + 4))
}

function distinctKeys({ table, keys }: IndexForm, rows: number): number {
  const product = keys.reduce((all, key) => {
    const [column] = key.columns
    const distinct = column === undefined ? rows : distinctValues(table, column)
    return all * distinct
  }, 1)
  return Math.max(1, Math.min(rows, product))
}

function isDeduplicated({ columns }: IndexKey): boolean {
  return !columns.some(({ baseType }) => NOT_DEDUPLICATED.test(baseType))
}

function widthOf({ columns, isExpression }: IndexKey): number {
  return isExpression ? Math.min(16, includedBytes(columns)) : includedBytes(columns)
}

function includedBytes(columns: readonly ColumnFacts[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0)
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}

function pages(bytes: number): number {
  // One of about 200 pages is an inner one.
  return BLOCK * (1 + Math.ceil((bytes / USABLE) * 1.005))
}
