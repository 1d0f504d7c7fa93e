import { parseStatement } from '@dharma/database/sql'
import fc from 'fast-check'
import { expect, it } from 'vitest'

interface Query {
  readonly text: string
  readonly reads: ReadonlySet<string>
}

const column = fc.constantFrom('a', 'b', 'c')
const table = fc.constantFrom('t1', 't2', 't3', 'app.t4')
const constant = fc.oneof(
  fc.integer({ min: 0 }).map(String),
  fc
    .string()
    .map((text) => `'${text.replaceAll('\0', '').replaceAll("'", "''").replaceAll('\\', '')}'`),
)

/** Queries made with the set of tables that they read. */
const query: fc.Arbitrary<Query> = fc.letrec<{ query: Query }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'query' },
    fc.tuple(table, column, constant).map(([from, name, value]) => ({
      text: `select ${name} from ${from} where ${name} = ${value}`,
      reads: new Set([from]),
    })),
    fc.tuple(tie('query'), tie('query')).map(([one, other]) => ({
      text: `(${one.text}) union all (${other.text})`,
      reads: one.reads.union(other.reads),
    })),
    fc.tuple(table, tie('query')).map(([from, inner]) => ({
      text: `select a from ${from} where b in (${inner.text})`,
      reads: inner.reads.union(new Set([from])),
    })),
    fc.tuple(tie('query'), table).map(([inner, from]) => ({
      text: `with w as (${inner.text}) select w.a from w join ${from} x on true`,
      reads: inner.reads.union(new Set([from])),
    })),
    fc.tuple(tie('query'), tie('query')).map(([one, other]) => ({
      text: `select q.a from (${one.text}) q, lateral (${other.text}) r`,
      reads: one.reads.union(other.reads),
    })),
    // The CTE hides the table of its name from the query behind it, but not from its own.
    tie('query').map((inner) => ({
      text: `with t1 as (${inner.text}) select a from t1`,
      reads: inner.reads,
    })),
  ),
})).query

it('the tables of any query are found, however it is nested', async () => {
  await fc.assert(
    fc.asyncProperty(query, async ({ text, reads }) => {
      const statement = await parseStatement(text)
      const found = statement.reads.map(({ schema, name }) =>
        schema === undefined ? name : `${schema}.${name}`,
      )
      expect(new Set(found)).toEqual(reads)
      expect(statement).toMatchObject({ kind: 'select', isReadOnly: true, hasConstants: true })
    }),
    { numRuns: 100 },
  )
}, 30_000)

it('the fingerprint does not depend on constants, and the normalized text has none', async () => {
  await fc.assert(
    fc.asyncProperty(constant, constant, async (one, other) => {
      const texts = [one, other].map((value) => `select a from t where b = ${value} limit 7`)
      const [first, second] = await Promise.all(texts.map(parseStatement))
      expect(first?.fingerprint).toBe(second?.fingerprint)
      expect(first?.normalized).toBe('select a from t where b = $1 limit $2')
    }),
    { numRuns: 100 },
  )
}, 30_000)

it('any text is understood or refused, and the parser works on', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (noise) => {
      const outcome: unknown = await parseStatement(noise).catch((error: unknown) => error)
      const { code = 'understood' } = outcome as { readonly code?: string }
      expect(['understood', 'DHARMA_SQL_SYNTAX']).toContain(code)
      expect((await parseStatement(`select a from t /* ${noise.length} */`)).kind).toBe('select')
    }),
    { numRuns: 150 },
  )
}, 30_000)
