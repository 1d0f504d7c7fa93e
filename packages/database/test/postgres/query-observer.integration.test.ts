import {
  PostgresManager,
  type ObservedStatement,
  type TransactionOutcome,
} from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest'

const url = inject('postgresUrl')
const schema = 'query_observer_test'

describeWithPostgres('an observer', () => {
  let database: PostgresManager
  let seen: ObservedStatement[]
  let ends: TransactionOutcome[]

  beforeAll(async () => {
    database = await new PostgresManager({ url, pool: { max: 2 } }).connect()
    await database.query(`drop schema if exists ${schema} cascade`)
    await database.query(`create schema ${schema}`)
    await database.query(`create table ${schema}.posts (id int primary key)`)
  })

  afterAll(async () => {
    await database.query(`drop schema ${schema} cascade`)
    await database.close()
  })

  beforeEach(() => {
    seen = []
    ends = []
  })

  function observe(): Disposable {
    return database.observe({
      onStatement: (statement) => void seen.push(statement),
      onTransactionEnd: (_, outcome) => void ends.push(outcome),
    })
  }

  it('hears of answers and of failures, with the values', async () => {
    using _ = observe()
    await database.query('select $1::int as n', [7])
    await database.query('select nothing').catch(() => undefined)
    expect(seen).toMatchObject([
      { text: 'select $1::int as n', values: [7], rowCount: 1, error: undefined },
      { text: 'select nothing', rowCount: undefined, error: { sqlState: '42703' } },
    ])
    expect(seen.every(({ elapsedMs }) => elapsedMs > 0)).toBe(true)
  })

  it('hears of a stream when its loop has ended, however it did', async () => {
    using _ = observe()
    const text = 'select n from generate_series(1, 30) n'
    for await (const row of database.stream<{ n: number }>(text)) if (row.n === 10) break
    for await (const row of database.stream<{ n: number }>(text)) expect(row.n).toBeGreaterThan(0)
    const failing = 'select 1 / (5 - n) as n from generate_series(1, 30) n'
    await Array.fromAsync(database.stream(failing)).catch(() => undefined)
    expect(seen).toMatchObject([
      { text, rowCount: 10, error: undefined },
      { text, rowCount: 30, error: undefined },
      { text: failing, error: { sqlState: '22012' } },
    ])
  })

  it('hears of a COPY as one statement with the number of its rows', async () => {
    using _ = observe()
    await database.copyInto(`${schema}.posts`, [{ id: 1 }, { id: 2 }])
    expect(seen).toMatchObject([{ text: `copy ${schema}.posts from stdin`, rowCount: 2 }])
  })

  it('hears which statements a transaction had and how it ended', async () => {
    using _ = observe()
    await database.transaction((transaction) => transaction.query('select 1'))
    const undone = database.transaction(async () => {
      throw new Error('changed my mind')
    })
    await expect(undone).rejects.toThrow('changed my mind')
    expect(ends).toEqual(['committed', 'rolled back'])
    expect(seen.map(({ transaction }) => transaction !== undefined)).toEqual([true])
  })

  it('is waited for by the caller where it returns a promise, as are all others', async () => {
    const order: string[] = []
    const slow = Promise.withResolvers<void>()
    using all = new DisposableStack()
    const first = database.observe({
      onStatement: () => slow.promise.then(() => void order.push('slow')),
    })
    all.use(first)
    all.use(database.observe({ onStatement: () => undefined }))
    const answer = database.query('select 1').then(() => order.push('caller'))
    slow.resolve()
    await answer
    expect(order).toEqual(['slow', 'caller'])
  })

  it('hears nothing any more once disposed', async () => {
    observe()[Symbol.dispose]()
    await database.query('select 1')
    expect(seen).toEqual([])
  })
})
