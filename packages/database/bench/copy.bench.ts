import { execFile } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { PostgresManager } from '@dharma/database/postgres'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

interface Row {
  readonly id: number
  readonly handle: string
  readonly body: string | null
  readonly at: Date
  readonly attributes: { readonly topics: readonly string[]; readonly rank: number }
  readonly amount: string
  readonly active: boolean
  readonly country: string
}

const COLUMNS =
  'id int, handle text, body text, at timestamptz, attributes jsonb, amount numeric, active bool, country text'

function makeRows(count: number): Row[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    handle: `user ${id}\ttab`,
    body: id % 3 === 0 ? null : `línea ${id}\nwith a text of more than a few characters`,
    at: new Date(1.6e12 + id * 1000),
    attributes: { topics: ['travel', 'music'], rank: id },
    amount: `${id}.25`,
    active: id % 2 === 0,
    country: 'DE',
  }))
}

/** A subject that stores rows into a table of its own and reports rows a second. */
async function storing(
  { urls, once }: BenchContext,
  name: string,
  fullCount: number,
  store: (client: Client, table: string, rows: readonly Row[]) => Promise<void>,
): Promise<Subject> {
  const client = new Client(urls.postgres)
  await client.connect()
  const table = `bench_copy_${name}`
  await client.query(`drop table if exists ${table}; create unlogged table ${table} (${COLUMNS})`)
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
        const { mkdtemp, rm, writeFile } = await import('node:fs/promises')
        const { tmpdir } = await import('node:os')
        const { join } = await import('node:path')
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
      'INSERT of one row': (context) =>
        storing(context, 'single', 1_000, async (client, table, rows) => {
          for (const row of rows) {
            const text = `insert into ${table} values ($1,$2,$3,$4,$5,$6,$7,$8)`
            await client.query({ name: 'insert', text, values: Object.values(row) as unknown[] })
          }
        }),
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
        over: 'INSERT of one row',
        figure: 'rowsPerSec',
        atLeast: 100,
      },
    ],
  }),
]
