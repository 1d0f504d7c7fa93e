import { randomBytes } from 'node:crypto'

/** A name that nobody else uses, from letters, digits and `_`: for a key prefix, a schema, a database. */
export function uniqueName(stem: string = 'test'): string {
  return `${stem}_${randomBytes(8).toString('hex')}`
}

/** A fresh prefix for the keys of one test file on a shared Redis, for example `test_4f…:`. */
export function keyPrefix(stem?: string): string {
  return `${uniqueName(stem)}:`
}
