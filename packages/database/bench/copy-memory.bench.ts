import { PostgresManager } from '@dharma/database/postgres'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { COLUMNS, makeRows, type Row } from './copy-rows.ts'

const ROWS = 5_000_000
/** Rows between two looks at the memory. */
const LOOK_ROWS = 50_000
const TABLE = 'bench_copy_memory'

/** What is held beyond what was there before: objects after a collection, and buffers outside the heap. */
class MemoryWatch {
  readonly #before = heldBytes()
  #most = 0
  rows = 0

  /** To be called for each row. */
  readonly row = (): void => {
    this.rows += 1
    if (this.rows % LOOK_ROWS === 0) this.#most = Math.max(this.#most, heldBytes() - this.#before)
  }

  get mebibytes(): number {
    return this.#most / 2 ** 20
  }
}

function heldBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function withManager(
  { urls, once }: BenchContext,
  work: (database: PostgresManager, count: number, watch: MemoryWatch) => Promise<void>,
): Promise<Subject> {
  const database = await new PostgresManager({ url: urls.postgres }).connect()
  await database.query(`create unlogged table if not exists ${TABLE} (${COLUMNS})`)
  const count = once ? 1_000 : ROWS
  return {
    async measure() {
      const watch = new MemoryWatch()
      const startedMs = performance.now()
      await work(database, count, watch)
      if (watch.rows !== count) throw new Error(`${watch.rows} rows of ${count} went through`)
      const seconds = (performance.now() - startedMs) / 1_000
      return {
        heldMiB: watch.mebibytes,
        rowsPerSec: count / seconds,
        nsPerOp: (seconds * 1e9) / count,
      }
    },
    close: () => database.close(),
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.copy-memory',
    title: 'memory held while five million rows go through',
    servers: ['postgres'],
    rounds: 1,
    subjects: {
      'dharma copyInto': (context) =>
        withManager(context, async (database, count, watch) => {
          const sample = makeRows(1_000)
          function* rows(): Generator<Row> {
            for (let id = 0; id < count; id++) {
              watch.row()
              yield sample[id % sample.length] as Row
            }
          }
          await database.query(`truncate ${TABLE}`)
          await database.copyInto(TABLE, rows())
        }),
      'dharma copyOut': (context) =>
        withManager(context, async (database, count, watch) => {
          const query = `select t.* from (select * from ${TABLE} limit 1000) t, generate_series(1, ${count / 1_000})`
          for await (const _ of database.copyOut<Row>({ text: query, values: [] })) watch.row()
        }),
    },
    bars: [
      { subject: 'dharma copyInto', figure: 'heldMiB', atMost: 32 },
      { subject: 'dharma copyOut', figure: 'heldMiB', atMost: 32 },
    ],
  }),
]
