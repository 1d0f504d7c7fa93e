import { Client } from 'pg'

const CONNECT_TIMEOUT_MS = 2000

/** Whether a PostgreSQL takes queries; creates those of `databases` that are not there. */
export async function probePostgres(
  url: string,
  databases: readonly string[] = [],
): Promise<true | undefined> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: 30_000,
  })
  // A connection that breaks after the query is the next probe's matter.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('select 1')
    for (const name of databases) {
      const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
      if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`)
    }
    return true
  } finally {
    await client.end()
  }
}
