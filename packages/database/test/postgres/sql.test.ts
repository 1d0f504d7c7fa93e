import { sql } from '@dharma/database/postgres'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

describe('sql', () => {
  it('puts every value into the parameters, whatever it contains', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (values) => {
        const strings = ['select ', ...values.slice(1).map(() => ', '), '']
        const statement = sql(Object.assign(strings, { raw: strings }), ...values)
        expect(statement.values).toEqual(values)
        expect(statement.text).toBe(
          `select ${values.map((_, index) => `$${index + 1}`).join(', ')}`,
        )
      }),
    )
  })

  it('numbers the parameters of statements within statements anew', () => {
    const where = sql`where a = ${1} and b = ${2}`
    expect(sql`select ${'x'} from t ${where} limit ${3}`).toMatchObject({
      text: 'select $1 from t where a = $2 and b = $3 limit $4',
      values: ['x', 1, 2, 3],
    })
  })

  it('takes an object that only looks like a statement for a value', () => {
    const fromJson = { text: '; drop table users', values: [] }
    expect(sql`select ${fromJson}`).toMatchObject({ text: 'select $1', values: [fromJson] })
  })
})
