import { TaskPayloadError } from './errors.ts'

/**
 * JSON text of a value, if JSON carries it whole. `JSON.stringify` alone would turn dates to text,
 * maps to `{}` and `NaN` to null; here they are refused with the place they stand at. Properties
 * that are `undefined` are left out.
 * @throws TaskPayloadError
 */
export function encodePayload(
  task: string,
  what: string,
  value: unknown,
  maxBytes: number,
): string {
  const flaw = findFlaw(value, what, [])
  if (flaw !== undefined) throw new TaskPayloadError(task, `has ${flaw}, which JSON cannot carry`)
  const text = JSON.stringify(value)
  // A character has at most three bytes in UTF-8: short texts need not be measured.
  if (text.length * 3 <= maxBytes) return text
  const bytes = Buffer.byteLength(text)
  if (bytes <= maxBytes) return text
  throw new TaskPayloadError(task, `has ${bytes} bytes, the limit is ${maxBytes}`)
}

function findFlaw(value: unknown, path: string, parents: object[]): string | undefined {
  if (typeof value === 'object') {
    return value === null ? undefined : findFlawWithin(value, path, parents)
  }
  if (typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value !== 'number') return `a value of type ${typeof value} at ${path}`
  return Number.isFinite(value) ? undefined : `${value} at ${path}`
}

function findFlawWithin(value: object, path: string, parents: object[]): string | undefined {
  if (parents.includes(value)) return `a cycle at ${path}`
  const prototype: unknown = Object.getPrototypeOf(value)
  const isArray = Array.isArray(value)
  if (!isArray && prototype !== Object.prototype && prototype !== null) {
    return `a ${value.constructor.name} at ${path}`
  }
  parents.push(value)
  if (isArray) {
    for (let index = 0; index < value.length; index++) {
      const flaw = findFlaw(value[index], `${path}[${index}]`, parents)
      if (flaw !== undefined) return flaw
    }
  } else {
    for (const key in value) {
      const inner = (value as Record<string, unknown>)[key]
      if (inner === undefined) continue
      const flaw = findFlaw(inner, `${path}.${key}`, parents)
      if (flaw !== undefined) return flaw
    }
  }
  parents.pop()
  return undefined
}
