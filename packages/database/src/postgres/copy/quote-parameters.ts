import { escapeLiteral } from 'pg'
import type { SqlStatement } from '../sql.ts'
import { checkOneStatement, sqlTokens } from '../sql-tokens.ts'
import { textOf } from './text-encoder.ts'

/**
 * The statement with its values in their places as literals, which the server types as it would type
 * parameters: COPY is the one statement that reads and takes none.
 *
 * @throws RangeError where a value is missing, ValueError for one that has no text form, TypeError for several statements
 */
export function quoteParameters({ text, values }: SqlStatement): string {
  checkOneStatement(text)
  const parts = Array.from(sqlTokens(text), (token) => {
    if (token.kind === 'parameter') return literal(values, token.number)
    // After its end there is nothing that counts.
    return token.kind === 'plain' ? token.text.replaceAll(';', ' ') : token.text
  })
  return parts.join('')
}

function literal(values: readonly unknown[], number: number): string {
  if (number < 1 || number > values.length) {
    throw new RangeError(`the statement has no value for $${number}, only ${values.length}`)
  }
  const value = values[number - 1]
  if (value === null || value === undefined) return 'null'
  // The space keeps a string apart from a name before it, which could change its meaning.
  return ` ${escapeLiteral(textOf(value, { kind: 'other', oid: 0 })).trimStart()}`
}
