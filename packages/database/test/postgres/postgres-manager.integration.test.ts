import {
  PostgresManager,
  PostgresQueryError,
  PostgresTimeoutError,
  sql,
} from '@dharma/database/postgres'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'

const url = inject('postgresUrl')
const schema = 'postgres_manager_test'

describeWithPostgres('PostgresManager', () => {
  let database: PostgresManager

  beforeAll(async () => {
    database = await new PostgresManager({ url, pool: { max: 4 } }).connect()
    await database.query(`drop schema if exists ${schema} cascade`)
    await database.query(`create schema ${schema}`)
    await database.query(
      `create table ${schema}.accounts (id int primary key, balance int not null)`,
    )
    await database.query(
      `insert into ${schema}.accounts select i, 100 from generate_series(1, 10) i`,
    )
  })

  afterAll(async () => {
    await database.query(`drop schema ${schema} cascade`)
    await database.close()
  })

  it('returns rows, their number and the command', async () => {
    const result = await database.query<{ n: number }>('select $1::int + 1 as n', [41])
    expect(result).toEqual({ rows: [{ n: 42 }], rowCount: 1, command: 'SELECT' })
  })

  it('sends the values of a template as parameters', async () => {
    const { rows } = await database.query<{ text: string }>(sql`select ${"'; drop"}::text as text`)
    expect(rows).toEqual([{ text: "'; drop" }])
  })

  it('gives the state and the constraint of an error, and the driver’s own as its cause', async () => {
    const error = await database
      .query(`insert into ${schema}.accounts values (1, 0)`)
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(PostgresQueryError)
    expect(error).toMatchObject({
      code: 'DHARMA_POSTGRES_QUERY',
      sqlState: '23505',
      constraint: 'accounts_pkey',
      cause: { severity: 'ERROR' },
    })
  })

  it('answers many callers at once over few connections', async () => {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        return database.query<{ i: number }>('select $1::int as i', [index])
      }),
    )
    expect(results.map(({ rows }) => rows[0]?.i)).toEqual(Array.from({ length: 200 }, (_, i) => i))
    expect(database.stats().size).toBeLessThanOrEqual(4)
  })

  it('cancels a statement on the server at its deadline and uses the session again', async () => {
    const marker = 'select pg_sleep(30) /* deadline */'
    await expect(database.query(marker, [], { timeoutMs: 100 })).rejects.toBeInstanceOf(
      PostgresTimeoutError,
    )
    await expect
      .poll(async () => {
        const { rows } = await database.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity where state = 'active' and query = $1`,
          [marker],
        )
        return rows[0]?.n
      })
      .toBe(0)
    expect(database.stats().totals.destroyed).toBe(0)
  })

  it('cancels a statement when its signal aborts, and rejects with the reason', async () => {
    const abort = new AbortController()
    const sleeping = database.query('select pg_sleep(30)', [], { signal: abort.signal })
    abort.abort(new Error('the user left'))
    await expect(sleeping).rejects.toThrow('the user left')
  })

  it('keeps serving a statement whose table changed under its prepared plan', async () => {
    const table = `${schema}.changing`
    await database.query(`create table ${table} (a int)`)
    await database.query(`insert into ${table} values (1)`)
    await using one = new PostgresManager({ url, pool: { max: 1 } })
    for (let run = 0; run < 3; run++) await one.query(`select * from ${table}`)
    await database.query(`alter table ${table} add column b int default 2`)
    expect((await one.query(`select * from ${table}`)).rows).toEqual([{ a: 1, b: 2 }])
  })

  it('keeps serving a statement whose preparation someone has undone', async () => {
    await using one = new PostgresManager({ url, pool: { max: 1 }, pipeline: false })
    const ask = async (): Promise<unknown> => (await one.query('select $1::int as n', [7])).rows
    for (let run = 0; run < 3; run++) await ask()
    await one.query('deallocate all')
    expect(await ask()).toEqual([{ n: 7 }])
    expect(await ask()).toEqual([{ n: 7 }])
    expect(one.stats().totals.destroyed).toBe(0)
  })

  it('gives the columns of a prepared statement that is run again, also where it has no rows or no columns', async () => {
    await using one = new PostgresManager({ url, pool: { max: 1 }, pipeline: false })
    for (let run = 0; run < 4; run++) {
      const some = await one.query('select $1::int as "n", $2::text as "null", now() as "at"', [
        run,
        null,
      ])
      expect(some.rows).toEqual([{ n: run, null: null, at: expect.any(Date) }])
      expect((await one.query('select 1 as n where $1', [false])).rows).toEqual([])
      expect((await one.query('select where $1', [true])).rowCount).toBe(1)
      const changed = `update ${schema}.accounts set balance = balance where id = $1`
      expect(await one.query(changed, [1])).toEqual({ rows: [], rowCount: 1, command: 'UPDATE' })
    }
  })

  it('prepares nothing where it is told so', async () => {
    await using one = new PostgresManager({ url, pool: { max: 1 }, prepare: false })
    for (let run = 0; run < 5; run++) await one.query('select $1::int as n', [run])
    const { rows } = await one.query<{ n: number }>(
      'select count(*)::int as n from pg_prepared_statements',
    )
    expect(rows).toEqual([{ n: 0 }])
    expect(one.stats().pipeline).toBeUndefined()
  })

  it('prepares no more statements than its limit', async () => {
    await using one = new PostgresManager({ url, pool: { max: 1 }, maxStatements: 5 })
    for (let index = 0; index < 20; index++) {
      for (let run = 0; run < 2; run++) await one.query(`select ${index}`)
    }
    const { rows } = await one.query<{ n: number }>(
      'select count(*)::int as n from pg_prepared_statements',
    )
    expect(rows[0]?.n).toBeLessThanOrEqual(5)
  })

  it('commits a transaction that resolves and undoes one that rejects', async () => {
    const move = (from: number, to: number, fail: boolean): Promise<string> => {
      return database.transaction(async (transaction) => {
        await transaction.query(
          `update ${schema}.accounts set balance = balance - 10 where id = $1`,
          [from],
        )
        if (fail) throw new Error('changed my mind')
        await transaction.query(
          `update ${schema}.accounts set balance = balance + 10 where id = $1`,
          [to],
        )
        return 'moved'
      })
    }
    expect(await move(1, 2, false)).toBe('moved')
    await expect(move(3, 4, true)).rejects.toThrow('changed my mind')
    const { rows } = await database.query<{ balance: number }>(
      `select balance from ${schema}.accounts where id in (1, 2, 3, 4) order by id`,
    )
    expect(rows.map(({ balance }) => balance)).toEqual([90, 110, 100, 100])
  })

  it('undoes only what a savepoint holds when its function throws', async () => {
    const count = await database.transaction(async (transaction) => {
      await transaction.query(`insert into ${schema}.accounts values (100, 1)`)
      const second = transaction.savepoint(() => {
        return transaction.query(`insert into ${schema}.accounts values (100, 2)`)
      })
      await expect(second).rejects.toBeInstanceOf(PostgresQueryError)
      const { rows } = await transaction.query<{ balance: number }>(
        `select balance from ${schema}.accounts where id = 100`,
      )
      return rows[0]?.balance
    })
    expect(count).toBe(1)
  })

  it('runs a transaction again after a serialization failure, and loses no update', async () => {
    const add = (): Promise<void> => {
      return database.transaction(
        async (transaction) => {
          const { rows } = await transaction.query<{ balance: number }>(
            `select balance from ${schema}.accounts where id = 5`,
          )
          await transaction.query(`update ${schema}.accounts set balance = $1 where id = 5`, [
            (rows[0]?.balance ?? 0) + 1,
          ])
        },
        { isolation: 'serializable', maxAttempts: 20 },
      )
    }
    await Promise.all(Array.from({ length: 8 }, add))
    const { rows } = await database.query<{ balance: number }>(
      `select balance from ${schema}.accounts where id = 5`,
    )
    expect(rows[0]?.balance).toBe(108)
  })

  it('refuses a statement of a transaction that is over', async () => {
    const leaked = await database.transaction(async (transaction) => transaction)
    await expect(leaked.query('select 1')).rejects.toThrow('the transaction is over')
  })

  it('leaves no connection open when it is closed', async () => {
    const applicationName = 'closing_test'
    const own = new PostgresManager({ url, applicationName })
    await own.query('select 1')
    await own.close()
    await expect
      .poll(async () => {
        const { rows } = await database.query<{ n: number }>(
          'select count(*)::int as n from pg_stat_activity where application_name = $1',
          [applicationName],
        )
        return rows[0]?.n
      })
      .toBe(0)
  })
})
