import type { PostgresManager } from '@dharma/database/postgres'

export interface InsertRates {
  /** Rows a second. */
  readonly single: number
  readonly multiRow: number
  readonly copy: number
}

interface Row {
  readonly id: number
  readonly body: string
  readonly at: Date
}

const TABLE = 'insert_rates'
const ROWS_A_STATEMENT = 1_000

/** The same kind of rows stored three ways, into a table of its own. */
export async function measureInserts(
  postgres: PostgresManager,
  rows: number,
): Promise<InsertRates> {
  await postgres.query(`drop table if exists ${TABLE}`)
  await postgres.query(`create table ${TABLE} (id int, body text, at timestamptz)`)
  const sample = Array.from({ length: rows }, (_, id): Row => {
    return {
      id,
      body: `post ${id} of a profile, with a text of usual length`,
      at: new Date(1.7e12 + id),
    }
  })
  const singles = sample.slice(0, Math.max(100, rows / 50))
  const single = await ratePerSecond(singles.length, async () => {
    for (const { id, body, at } of singles) {
      await postgres.query(`insert into ${TABLE} values ($1, $2, $3)`, [id, body, at])
    }
  })
  const multiRow = await ratePerSecond(rows, async () => {
    for (let from = 0; from < rows; from += ROWS_A_STATEMENT) {
      await insertRows(postgres, sample.slice(from, from + ROWS_A_STATEMENT))
    }
  })
  const copy = await ratePerSecond(rows, async () => {
    await postgres.copyInto(TABLE, sample)
  })
  await postgres.query(`drop table ${TABLE}`)
  return { single, multiRow, copy }
}

async function insertRows(postgres: PostgresManager, rows: readonly Row[]): Promise<void> {
  const places = rows.map((_, index) => `($${index * 3 + 1}, $${index * 3 + 2}, $${index * 3 + 3})`)
  const values = rows.flatMap(({ id, body, at }) => [id, body, at])
  await postgres.query(`insert into ${TABLE} values ${places.join(', ')}`, values)
}

async function ratePerSecond(count: number, work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (count * 1000) / (performance.now() - startedMs)
}
