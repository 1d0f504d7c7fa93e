import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { PostgresManager } from '@dharma/database/postgres'
import { startPostgres } from '@dharma/testkit'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { COLUMN_NAMES, COLUMN_TYPES, COLUMNS, makeRows, type Row } from './copy-rows.ts'

/** It has no types of its own. */
const { rowWriter } = createRequire(import.meta.url)('pg-copy-streams-binary') as {
  rowWriter: () => Transform
}

/** A subject that stores rows into a table of its own and reports rows a second. */
async function storing(
  { urls, once }: BenchContext,
  name: string,
  fullCount: number,
  store: (client: Client, table: string, rows: readonly Row[]) => Promise<void>,
  storage: 'unlogged' | '' = 'unlogged',
): Promise<Subject> {
  const client = new Client(urls.postgres)
  await client.connect()
  const table = `bench_copy_${name}`
  await client.query(`drop table if exists ${table}; create ${storage} table ${table} (${COLUMNS})`)
  const rows = makeRows(once ? 100 : fullCount)
  return {
    async measure() {
      await client.query(`truncate ${table}`)
      const startedMs = performance.now()
      await store(client, table, rows)
      const seconds = (performance.now() - startedMs) / 1000
      return { rowsPerSec: rows.length / seconds, nsPerOp: (seconds * 1e9) / rows.length }
    },
    async close() {
      await client.end()
    },
  }
}

function textLine(row: Row): string {
  const fields = Object.values(row).map((value: unknown) => {
    if (value === null) return String.raw`\N`
    if (value instanceof Date) return value.toISOString()
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n')
  })
  return `${fields.join('\t')}\n`
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.copy-in',
    title: 'one row of eight columns stored',
    servers: ['postgres'],
    rounds: 5,
    subjects: {
      'dharma copyInto (binary)': async (context) => {
        const manager = new PostgresManager({ url: context.urls.postgres })
        const subject = await storing(context, 'binary', 200_000, async (_, table, rows) => {
          await manager.copyInto(table, rows)
        })
        return {
          ...subject,
          close: async () => {
            await manager.close()
            await subject.close?.()
          },
        }
      },
      'dharma copyInto (text)': async (context) => {
        const manager = new PostgresManager({ url: context.urls.postgres })
        const subject = await storing(context, 'text', 200_000, async (_, table, rows) => {
          await manager.copyInto(table, rows, { format: 'text' })
        })
        return {
          ...subject,
          close: async () => {
            await manager.close()
            await subject.close?.()
          },
        }
      },
      'psql \\copy text': async (context) => {
        const folder = await mkdtemp(join(tmpdir(), 'dharma-bench-'))
        const file = join(folder, 'rows.tsv')
        const run = promisify(execFile)
        const subject = await storing(context, 'psql', 200_000, async (_, table) => {
          const command = String.raw`\copy ${table} from '${file}'`
          await run('psql', [context.urls.postgres, '-q', '-c', command])
        })
        await writeFile(
          file,
          makeRows(context.once ? 100 : 200_000)
            .map(textLine)
            .join(''),
        )
        return {
          ...subject,
          close: async () => {
            await rm(folder, { recursive: true })
            await subject.close?.()
          },
        }
      },
      'pg-copy-streams, a write a row': (context) =>
        storing(context, 'streams', 50_000, async (client, table, rows) => {
          const lines = Readable.from(
            (function* () {
              for (const row of rows) yield textLine(row)
            })(),
          )
          await pipeline(lines, client.query(copyFrom(`copy ${table} from stdin`)))
        }),
      'psql \\copy binary': (context) => psqlBinary(context),
      'pg-copy-streams-binary': (context) =>
        storing(context, 'streams_binary', 50_000, async (client, table, rows) => {
          // It knows no numeric.
          await client.query(`alter table ${table} alter amount type float8`)
          const fields = Readable.from(rows, { objectMode: true }).map(binaryFields)
          const target = client.query(copyFrom(`copy ${table} from stdin (format binary)`))
          await pipeline(fields, rowWriter(), target)
        }),
      'INSERT of 1,000 rows': (context) =>
        storing(context, 'multi', 20_000, async (client, table, rows) => {
          for (let from = 0; from < rows.length; from += 1_000) {
            const batch = rows.slice(from, from + 1_000)
            const places = batch.map((_, row) => {
              return `(${Array.from({ length: 8 }, (_value, column) => `$${row * 8 + column + 1}`).join(',')})`
            })
            const values = batch.flatMap((row) => Object.values(row) as unknown[])
            await client.query(`insert into ${table} values ${places.join(',')}`, values)
          }
        }),
      'INSERT … SELECT unnest': (context) =>
        storing(context, 'unnest', 20_000, async (client, table, rows) => {
          const values = COLUMN_NAMES.map((name) => rows.map((row) => row[name]))
          const arrays = COLUMN_TYPES.map((type, index) => `$${index + 1}::${type}[]`)
          await client.query(
            `insert into ${table} select * from unnest(${arrays.join(', ')})`,
            values,
          )
        }),
      'INSERT of one row': (context) => storing(context, 'single', 1_000, insertEach),
    },
    bars: [
      {
        subject: 'dharma copyInto (binary)',
        over: 'psql \\copy text',
        figure: 'rowsPerSec',
        atLeast: 1.35,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'pg-copy-streams, a write a row',
        figure: 'rowsPerSec',
        atLeast: 5.5,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'INSERT of 1,000 rows',
        figure: 'rowsPerSec',
        atLeast: 3.5,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'psql \\copy binary',
        figure: 'rowsPerSec',
        atLeast: 1,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'pg-copy-streams-binary',
        figure: 'rowsPerSec',
        atLeast: 6.5,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'INSERT … SELECT unnest',
        figure: 'rowsPerSec',
        atLeast: 3.5,
      },
      {
        subject: 'dharma copyInto (binary)',
        over: 'INSERT of one row',
        figure: 'rowsPerSec',
        atLeast: 100,
      },
    ],
  }),
  defineBench({
    name: 'database.copy-in-durable',
    title: 'one row of eight columns stored for good: fsync on, a logged table',
    rounds: 5,
    subjects: {
      'dharma copyInto': (context) =>
        durable(async (url) => {
          const manager = new PostgresManager({ url })
          const subject = await storing(
            { ...context, urls: { ...context.urls, postgres: url } },
            'durable',
            200_000,
            async (_, table, rows) => {
              await manager.copyInto(table, rows)
            },
            '',
          )
          return closing(subject, () => manager.close())
        }),
      'INSERT of one row': (context) =>
        durable((url) =>
          storing(
            { ...context, urls: { ...context.urls, postgres: url } },
            'single',
            500,
            insertEach,
            '',
          ),
        ),
    },
    bars: [
      {
        subject: 'dharma copyInto',
        over: 'INSERT of one row',
        figure: 'rowsPerSec',
        atLeast: 100,
      },
    ],
  }),
]

async function insertEach(client: Client, table: string, rows: readonly Row[]): Promise<void> {
  const text = `insert into ${table} values ($1,$2,$3,$4,$5,$6,$7,$8)`
  for (const row of rows) {
    await client.query({ name: 'insert', text, values: Object.values(row) as unknown[] })
  }
}

/** Rows as pg-copy-streams-binary wants them: each field with its type. */
function binaryFields(row: Row): readonly object[] {
  const value = (type: string, content: unknown): object => ({ type, value: content })
  return [
    value('int4', row.id),
    value('text', row.handle),
    value('text', row.body),
    value('timestamptz', row.at),
    value('jsonb', row.attributes),
    value('float8', Number(row.amount)),
    value('bool', row.active),
    value('text', row.country),
  ]
}

/** The rows in the server's binary form in a file, stored by psql. */
async function psqlBinary(context: BenchContext): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), 'dharma-bench-'))
  const file = join(folder, 'rows.bin')
  const run = promisify(execFile)
  const psql = (command: string): Promise<unknown> => {
    return run('psql', [context.urls.postgres, '-q', '-c', command])
  }
  const subject = await storing(context, 'psql_binary', 200_000, async (_, table) => {
    await psql(String.raw`\copy ${table} from '${file}' (format binary)`)
  })
  await using manager = new PostgresManager({ url: context.urls.postgres })
  await manager.copyInto('bench_copy_psql_binary', makeRows(context.once ? 100 : 200_000))
  await psql(String.raw`\copy bench_copy_psql_binary to '${file}' (format binary)`)
  return closing(subject, () => rm(folder, { recursive: true }))
}

/** A subject on a server of its own that does not lose what it has confirmed, as in production. */
async function durable(open: (url: string) => Promise<Subject>): Promise<Subject> {
  const settings = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' }
  const server = await startPostgres({ settings })
  return closing(await open(server.url), () => server.close())
}

function closing(subject: Subject, close: () => Promise<void>): Subject {
  return {
    ...subject,
    close: async () => {
      await subject.close?.()
      await close()
    },
  }
}
