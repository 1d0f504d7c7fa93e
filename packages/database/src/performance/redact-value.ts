/** What may be shown of a parameter: its type and size, never what it is. */
export function redactValue(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return `text(${value.length})`
  if (value instanceof Date) return 'date'
  if (ArrayBuffer.isView(value)) return `bytes(${value.byteLength})`
  if (Array.isArray(value)) return `array(${value.length})`
  return typeof value
}

/** A parameter as it may be kept in memory: long ones cut, so that samples stay small. */
export function sampledValue(value: unknown): unknown {
  if (typeof value === 'string') return value.length <= 256 ? value : `${value.slice(0, 255)}…`
  if (ArrayBuffer.isView(value)) return redactValue(value)
  if (Array.isArray(value)) return value.slice(0, 16).map(sampledValue)
  if (value instanceof Date || typeof value !== 'object' || value === null) return value
  return 'object'
}
