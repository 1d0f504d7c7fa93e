import { createCache } from '@dharma/cache'
import { QueryPerformanceTracker } from '@dharma/database/performance'
import { PostgresManager } from '@dharma/database/postgres'
import { CachedQueries } from '@dharma/database/query-cache'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'

const TABLE = 'bench_cached'
const SELECT = `select id, handle, score from ${TABLE} where id = $1`
const KEYS = 100

async function connect({ urls }: BenchContext): Promise<PostgresManager> {
  const database = await new PostgresManager({ url: urls.postgres }).connect()
  await database.query(
    `create table if not exists ${TABLE} (id int primary key, handle text not null, score float8 not null)`,
  )
  await database.query(
    `insert into ${TABLE} select i, 'user ' || i, i / 3.0 from generate_series(1, $1::int) i on conflict do nothing`,
    [KEYS],
  )
  return database
}

/** `concurrency` callers, each asking again as soon as it has its answer. */
async function repeat(
  count: number,
  concurrency: number,
  read: (id: number) => Promise<unknown>,
): Promise<void> {
  let left = count
  const caller = async (): Promise<void> => {
    while (left-- > 0) await read(1 + (left % KEYS))
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, caller))
}

function query(concurrency: number) {
  return async (context: BenchContext): Promise<Subject> => {
    const database = await connect(context)
    return {
      iterate: (count) => repeat(count, concurrency, (id) => database.query(SELECT, [id])),
      close: () => database.close(),
    }
  }
}

function cached(concurrency: number) {
  return async (context: BenchContext): Promise<Subject> => {
    const database = await connect(context)
    const cache = createCache({ namespace: 'bench' })
    const queries = new CachedQueries(database, cache)
    const options = { ttlMs: 3_600_000 }
    await repeat(KEYS, 1, (id) => queries.query(SELECT, [id], options))
    return {
      iterate: (count) => repeat(count, concurrency, (id) => queries.query(SELECT, [id], options)),
      close: async () => {
        await queries.close()
        await cache.close()
        await database.close()
      },
    }
  }
}

async function tracked(context: BenchContext): Promise<Subject> {
  const database = await connect(context)
  const tracker = new QueryPerformanceTracker()
  tracker.watch(database)
  await database.query(SELECT, [1])
  await tracker.settled()
  return {
    iterate: (count) => repeat(count, 64, (id) => database.query(SELECT, [id])),
    close: () => database.close(),
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.cached-query',
    title: 'one row by its key, one caller',
    servers: ['postgres'],
    subjects: { 'dharma cached query': cached(1), 'dharma query': query(1) },
    bars: [{ subject: 'dharma query', over: 'dharma cached query', atLeast: 50 }],
  }),
  defineBench({
    name: 'database.tracking',
    title: 'one row by its key, 64 at once, with and without a tracker',
    servers: ['postgres'],
    roundMs: 1_000,
    rounds: 7,
    subjects: { tracked, 'not tracked': query(64) },
    bars: [{ subject: 'tracked', over: 'not tracked', atMost: 1.02 }],
  }),
]
