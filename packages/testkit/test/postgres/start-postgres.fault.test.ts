import { Client } from 'pg'
import { startPostgres, startPostgresWithReplica } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'

async function query(url: string, statement: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query(statement)
    return rows[0]
  } finally {
    await client.end()
  }
}

describeWithPostgres('a PostgreSQL of its own', () => {
  it('has the settings and databases that it was given', async () => {
    await using server = await startPostgres({
      settings: { max_connections: 20, jit: false },
      databases: ['shop', 'Odd "name"'],
    })
    expect(await query(server.url, 'show max_connections')).toEqual({ max_connections: '20' })
    const shop = new URL(server.url)
    shop.pathname = '/shop'
    expect(await query(shop.href, 'select current_database()')).toEqual({
      current_database: 'shop',
    })
  })

  it('has the wanted version, which the package brings where the machine has another', async () => {
    await using server = await startPostgres({ version: 18 })
    expect(await query(server.url, "select split_part(version(), '.', 1) as name")).toEqual({
      name: 'PostgreSQL 18',
    })
  })
})

describeWithPostgres('a PostgreSQL with a replica', () => {
  it('streams to the replica, which takes writes once promoted after the primary died', async () => {
    await using pair = await startPostgresWithReplica()
    await query(pair.primary.url, 'create table post as select 42 as id')
    await pair.caughtUp()
    expect(await query(pair.replica.url, 'select id from post')).toEqual({ id: 42 })
    await expect(query(pair.replica.url, 'insert into post values (1)')).rejects.toThrow(
      /read-only/u,
    )
    await pair.primary.kill()
    await pair.promote()
    await query(pair.replica.url, 'insert into post values (43)')
    expect(await query(pair.replica.url, 'select count(*)::int from post')).toEqual({ count: 2 })
  })
})
