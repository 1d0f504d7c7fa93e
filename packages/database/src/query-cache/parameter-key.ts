import { keyOf, textKey } from './value-key.ts'

/**
 * The parameters of a statement as part of a key: equal exactly where types and values are equal.
 * Objects count as the JSON that the driver sends.
 * @throws TypeError for what has no key
 */
export function parameterKey(values: readonly unknown[]): string {
  return keyOf(values, objectKey)
}

function objectKey(value: object): string {
  if ('toPostgres' in value) throw new TypeError('a parameter with toPostgres has no key')
  return textKey('j', JSON.stringify(value) ?? '')
}
