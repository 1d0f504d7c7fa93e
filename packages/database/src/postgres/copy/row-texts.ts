import type { BadRow, CopyRow } from './row-encoder.ts'
import type { TableColumn } from './table-columns.ts'
import { textOf } from './text-encoder.ts'
import { ValueError } from './value-error.ts'

/** A row's values in the server's text form, or what is wrong with it. */
export function rowTexts(
  row: CopyRow,
  columns: readonly TableColumn[],
  isClosed: boolean,
): (string | null)[] | Omit<BadRow, 'index'> {
  let column: string | undefined
  try {
    const values = rowValues(row, columns, isClosed)
    return columns.map(({ name, type }, index) => {
      column = name
      const value = values[index]
      return value === null || value === undefined ? null : textOf(value, type)
    })
  } catch (cause) {
    const reason = cause instanceof ValueError ? cause.message : 'the value could not be encoded'
    return { column, reason, cause }
  }
}

function rowValues(
  row: unknown,
  columns: readonly TableColumn[],
  isClosed: boolean,
): readonly unknown[] {
  if (Array.isArray(row)) {
    if (row.length === columns.length) return row
    throw new ValueError(`expected a row of ${columns.length} values, got ${row.length}`)
  }
  if (typeof row !== 'object' || row === null) {
    throw new ValueError(`expected an object or an array, got a ${typeof row}`)
  }
  const names = columns.map(({ name }) => name)
  const extra = isClosed ? Object.keys(row).find((name) => !names.includes(name)) : undefined
  if (extra !== undefined)
    throw new ValueError(`expected only the first row's fields, not also '${extra}'`)
  return names.map((name) => (row as Readonly<Record<string, unknown>>)[name])
}
