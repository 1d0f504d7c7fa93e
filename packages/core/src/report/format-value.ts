import type { PlainCell } from './report.ts'

/** A value for people: numbers with thousands set apart and four digits that matter, `–` if missing. */
export function formatValue(value: PlainCell, unit?: string): string {
  if (value === null) return '–'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const text = typeof value === 'number' ? formatNumber(value) : value
  if (unit === undefined) return text
  return unit === '%' ? `${text}%` : `${text} ${unit}`
}

/** UTC, to the second. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** Whether a column of these values is one of numbers. */
export function isNumeric(values: readonly PlainCell[]): boolean {
  return (
    values.some((value) => typeof value === 'number') &&
    values.every((value) => typeof value === 'number' || value === null)
  )
}

function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return String(Number(value.toPrecision(4)))
  return (Number.isInteger(value) || size >= 1_000 ? WHOLE : FRACTION).format(value)
}

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const FRACTION = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 })
