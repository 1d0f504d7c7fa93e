import { PostgresManager } from '@dharma/database/postgres'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { COLUMNS, makeRows } from './copy-rows.ts'

/** Calls in a row between two looks at the clock. */
const CALLS = 8

/** Stores `count` rows a call by one of the ways there are, and reports the time of a row. */
function inserting(count: number, method: 'unnest' | 'copy' | undefined) {
  return async ({ urls, once }: BenchContext): Promise<Subject> => {
    const database = await new PostgresManager({ url: urls.postgres, pool: { max: 1 } }).connect()
    const table = `bench_insert_${method ?? 'chosen'}_${count}`
    await database.query(`drop table if exists ${table}`)
    await database.query(`create unlogged table ${table} (${COLUMNS})`)
    const rows = makeRows(once ? 10 : count)
    return {
      async measure(budgetMs) {
        await database.query(`truncate ${table}`)
        const startedMs = performance.now()
        let calls = 0
        do {
          for (let call = 0; call < CALLS; call++)
            await database.insertMany(table, rows, { method })
          calls += CALLS
        } while (performance.now() - startedMs < budgetMs)
        const elapsedMs = performance.now() - startedMs
        return {
          msPerCall: elapsedMs / calls,
          rowsPerSec: (1_000 * calls * rows.length) / elapsedMs,
          nsPerOp: (elapsedMs * 1e6) / (calls * rows.length),
        }
      },
      close: () => database.close(),
    }
  }
}

function insertBench(count: number): Bench {
  return defineBench({
    name: `database.insert-many-${count}`,
    title: `one of ${count} rows of eight columns stored by one call`,
    servers: ['postgres'],
    roundMs: 300,
    rounds: 5,
    subjects: {
      'dharma insertMany': inserting(count, undefined),
      'dharma insertMany (unnest)': inserting(count, 'unnest'),
      'dharma insertMany (copy)': inserting(count, 'copy'),
    },
    bars: [
      {
        subject: 'dharma insertMany',
        over: 'dharma insertMany (unnest)',
        figure: 'msPerCall',
        atMost: 1.15,
      },
      {
        subject: 'dharma insertMany',
        over: 'dharma insertMany (copy)',
        figure: 'msPerCall',
        atMost: 1.15,
      },
    ],
  })
}

export const benches: readonly Bench[] = [10, 100, 1_000, 10_000].map(insertBench)
