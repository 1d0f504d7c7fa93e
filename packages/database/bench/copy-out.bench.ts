import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { promisify } from 'node:util'
import { PostgresManager } from '@dharma/database/postgres'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { COLUMNS, makeRows, type Row } from './copy-rows.ts'

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.copy-out',
    title: 'one row of eight columns read',
    servers: ['postgres'],
    rounds: 7,
    subjects: {
      'dharma copyOut': (context) =>
        reading(context, 'ours', async (_, table, url) => {
          await using manager = new PostgresManager({ url })
          let rows = 0
          for await (const row of manager.copyOut<Row>(table)) if (row.id >= 0) rows += 1
          return rows
        }),
      'dharma copyOutTo a file': (context) =>
        reading(context, 'ours_raw', async (_, table, url) => {
          await using manager = new PostgresManager({ url })
          return (await manager.copyOutTo(table, createWriteStream('/dev/null'))).rows
        }),
      'psql \\copy text': (context) =>
        reading(context, 'psql_out', async (_, table, url, count) => {
          await promisify(execFile)('psql', [
            url,
            '-q',
            '-c',
            String.raw`\copy ${table} to '/dev/null'`,
          ])
          return count
        }),
      'pg-copy-streams, bytes only': (context) =>
        reading(context, 'streams_out', async (client, table, _, count) => {
          const chunks = client.query(copyTo(`copy ${table} to stdout`))
          for await (const chunk of chunks as AsyncIterable<Buffer>)
            if (chunk.length === 0) return 0
          return count
        }),
      'dharma stream (cursor)': (context) =>
        reading(context, 'stream', async (_, table, url) => {
          await using manager = new PostgresManager({ url })
          let rows = 0
          for await (const row of manager.stream<Row>(`select * from ${table}`))
            if (row.id >= 0) rows += 1
          return rows
        }),
    },
    bars: [
      {
        subject: 'dharma copyOut',
        over: 'psql \\copy text',
        figure: 'rowsPerSec',
        atLeast: 0.9,
      },
      {
        subject: 'dharma copyOutTo a file',
        over: 'psql \\copy text',
        figure: 'rowsPerSec',
        atLeast: 0.9,
      },
    ],
  }),
]

/** A subject that reads a table of its own and reports rows a second. */
async function reading(
  { urls, once }: BenchContext,
  name: string,
  read: (client: Client, table: string, url: string, count: number) => Promise<number>,
): Promise<Subject> {
  const client = new Client(urls.postgres)
  await client.connect()
  const table = `bench_copy_${name}`
  const count = once ? 100 : 200_000
  await client.query(`drop table if exists ${table}; create unlogged table ${table} (${COLUMNS})`)
  await using manager = new PostgresManager({ url: urls.postgres })
  await manager.copyInto(table, makeRows(count))
  await client.query(`vacuum analyze ${table}`)
  return {
    async measure() {
      const startedMs = performance.now()
      const rows = await read(client, table, urls.postgres, count)
      if (rows !== count) throw new Error(`read ${rows} rows of ${count}`)
      const seconds = (performance.now() - startedMs) / 1000
      return { rowsPerSec: rows / seconds, nsPerOp: (seconds * 1e9) / rows }
    },
    async close() {
      await client.end()
    },
  }
}
