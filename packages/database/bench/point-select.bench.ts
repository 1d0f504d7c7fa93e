import { PostgresManager } from '@dharma/database/postgres'
import {
  defineBench,
  type Bar,
  type Bench,
  type BenchContext,
  type Figures,
  type Subject,
  type SubjectFactory,
} from '@dharma/testkit/bench'
import { Pool } from 'pg'
import { createPgDriverFactory } from '@slonik/pg-driver'
import postgres from 'postgres'
import { createPool, sql as slonikSql } from 'slonik'

const TABLE = 'bench_points'
const SELECT = `select id, handle, score from ${TABLE} where id = $1`
/** Slow by waiting, not by work, so that what is measured is the client and not the cores left over. */
const SLOW = 'select pg_sleep($1)'
const SLOW_SECONDS = 0.02

/** Something that reads one point, or does the slow work. */
interface Reader {
  read(id: number): Promise<unknown>
  slow?(): Promise<unknown>
  close(): Promise<void>
}

function randomId({ once }: BenchContext): number {
  return 1 + Math.floor(Math.random() * (once ? 100 : 100_000))
}

/** Makes the table where it is not there; subjects start one after the other. */
async function prepare({ urls, once }: BenchContext): Promise<void> {
  const pool = new Pool({ connectionString: urls.postgres, max: 1 })
  await pool.query(
    `create table if not exists ${TABLE} (id int primary key, handle text not null, score float8 not null)`,
  )
  await pool.query(
    `insert into ${TABLE} select i, 'user ' || i, i / 3.0 from generate_series(1, $1::int) i
     where not exists (select from ${TABLE})`,
    [once ? 100 : 100_000],
  )
  await pool.query(`analyze ${TABLE}`)
  await pool.end()
}

/** `concurrency` callers, each asking again as soon as it has its answer, for the length of a turn. */
function loading(
  concurrency: number,
  slowRatio: number,
  connect: (context: BenchContext) => Promise<Reader>,
): SubjectFactory {
  return async (context): Promise<Subject> => {
    await prepare(context)
    const reader = await connect(context)
    return {
      measure: (budgetMs) => measure(reader, context, { concurrency, slowRatio, budgetMs }),
      close: () => reader.close(),
    }
  }
}

async function measure(
  reader: Reader,
  context: BenchContext,
  load: { readonly concurrency: number; readonly slowRatio: number; readonly budgetMs: number },
): Promise<Figures> {
  const latencies: number[] = []
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  const endMs = startedMs + load.budgetMs
  let operations = 0
  const caller = async (): Promise<void> => {
    do {
      operations += 1
      if (load.slowRatio > 0 && Math.random() < load.slowRatio) {
        await reader.slow?.()
        continue
      }
      const sentMs = load.slowRatio > 0 ? performance.now() : 0
      await reader.read(randomId(context))
      if (load.slowRatio > 0) latencies.push(performance.now() - sentMs)
    } while (performance.now() < endMs)
  }
  await Promise.all(Array.from({ length: load.concurrency }, caller))
  const seconds = (performance.now() - startedMs) / 1_000
  const { user, system } = process.cpuUsage(startedCpu)
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (q: number): number => sorted[Math.floor(q * (sorted.length - 1))] ?? 0
  return {
    opsPerSec: operations / seconds,
    nsPerOp: (seconds * 1e9) / operations,
    cpuMicrosPerOp: (user + system) / operations,
    ...(sorted.length === 0 ? {} : { fastP50Ms: at(0.5), fastP99Ms: at(0.99) }),
  }
}

async function dharma({ urls }: BenchContext): Promise<Reader> {
  const database = await new PostgresManager({ url: urls.postgres }).connect()
  return {
    read: (id) => database.query(SELECT, [id]),
    slow: () => database.query(SLOW, [SLOW_SECONDS]),
    close: () => database.close(),
  }
}

async function dharmaLoader({ urls }: BenchContext): Promise<Reader> {
  const database = await new PostgresManager({ url: urls.postgres }).connect()
  const loader = database.loader(TABLE, 'id', { columns: ['id', 'handle', 'score'] })
  return { read: (id) => loader.load(id), close: () => database.close() }
}

async function pgNamed({ urls }: BenchContext): Promise<Reader> {
  const pool = new Pool({ connectionString: urls.postgres, max: 10 })
  return {
    read: (id) => pool.query({ name: 'point', text: SELECT, values: [id] }),
    slow: () => pool.query({ name: 'slow', text: SLOW, values: [SLOW_SECONDS] }),
    close: () => pool.end(),
  }
}

async function pgUnnamed({ urls }: BenchContext): Promise<Reader> {
  const pool = new Pool({ connectionString: urls.postgres, max: 10 })
  return { read: (id) => pool.query(SELECT, [id]), close: () => pool.end() }
}

function postgresJs(max: number): (context: BenchContext) => Promise<Reader> {
  return async ({ urls }) => {
    const client = postgres(urls.postgres, { max, onnotice: () => undefined })
    return {
      read: (id) => client`select id, handle, score from bench_points where id = ${id}`,
      close: () => client.end(),
    }
  }
}

async function slonik({ urls }: BenchContext): Promise<Reader> {
  const pool = await createPool(urls.postgres, {
    driverFactory: createPgDriverFactory(),
    maximumPoolSize: 10,
  })
  return {
    read: (id) =>
      pool.one(slonikSql.unsafe`select id, handle, score from bench_points where id = ${id}`),
    close: () => pool.end(),
  }
}

const OURS = 'dharma query'
const PG = 'pg.Pool, named'
const POSTGRES_JS = 'postgres.js, 4 connections'

function pointBench(concurrency: number, bars: readonly Bar[]): Bench {
  return defineBench({
    name: `database.point-select-${concurrency}`,
    title: `one row by its key, ${concurrency} at once`,
    servers: ['postgres'],
    roundMs: 1_000,
    rounds: 5,
    subjects: {
      [OURS]: loading(concurrency, 0, dharma),
      [PG]: loading(concurrency, 0, pgNamed),
      'pg.Pool, unnamed': loading(concurrency, 0, pgUnnamed),
      'postgres.js, default': loading(concurrency, 0, postgresJs(10)),
      [POSTGRES_JS]: loading(concurrency, 0, postgresJs(4)),
      slonik: loading(concurrency, 0, slonik),
    },
    bars,
  })
}

export const benches: readonly Bench[] = [
  pointBench(64, [
    { subject: OURS, over: PG, figure: 'opsPerSec', atLeast: 2.4 },
    { subject: OURS, over: PG, figure: 'cpuMicrosPerOp', atMost: 0.45 },
    { subject: OURS, over: POSTGRES_JS, figure: 'opsPerSec', atLeast: 1.6 },
    { subject: OURS, over: 'slonik', figure: 'opsPerSec', atLeast: 8 },
  ]),
  pointBench(16, [{ subject: OURS, over: PG, figure: 'opsPerSec', atLeast: 1.9 }]),
  pointBench(1, [{ subject: OURS, over: PG, figure: 'opsPerSec', atLeast: 0.97 }]),
  defineBench({
    name: 'database.slow-among-fast',
    title: 'one row by its key, 64 at once, one statement in a hundred slow',
    servers: ['postgres'],
    roundMs: 1_500,
    rounds: 5,
    subjects: {
      [OURS]: loading(64, 0.01, dharma),
      [PG]: loading(64, 0.01, pgNamed),
    },
    bars: [
      { subject: OURS, over: PG, figure: 'fastP99Ms', atMost: 0.5 },
      { subject: OURS, over: PG, figure: 'opsPerSec', atLeast: 1.25 },
    ],
  }),
  defineBench({
    name: 'database.batched-reads',
    title: 'one row by its key through a loader, 64 at once',
    servers: ['postgres'],
    roundMs: 1_000,
    rounds: 5,
    subjects: {
      'dharma loader': loading(64, 0, dharmaLoader),
      [PG]: loading(64, 0, pgNamed),
    },
    bars: [{ subject: 'dharma loader', over: PG, figure: 'opsPerSec', atLeast: 5 }],
  }),
]
