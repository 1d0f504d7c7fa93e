import { PostgresManager } from '@dharma/database/postgres'
import { defineBench, type Bench, type BenchContext, type Subject } from '@dharma/testkit/bench'
import { Pool } from 'pg'
import { FreezingRelay } from '../test/postgres/pipeline/freezing-relay.ts'

const SELECT = 'select id, handle, score from bench_frozen where id = $1'
const CALLERS = 64
/** Throughput is read in steps of this length. */
const STEP_MS = 25
/** As many steps make the throughput of one moment. */
const WINDOW_STEPS = 4
const WARM_MS = 1_500
const LONGEST_MS = 4_000

interface Reader {
  read(id: number): Promise<unknown>
  close(): Promise<void>
}

async function prepare({ urls }: BenchContext): Promise<void> {
  const pool = new Pool({ connectionString: urls.postgres, max: 1 })
  await pool.query(
    'create table if not exists bench_frozen (id int primary key, handle text not null, score float8 not null)',
  )
  await pool.query(
    `insert into bench_frozen select i, 'user ' || i, i / 3.0 from generate_series(1, 1000) i
     on conflict do nothing`,
  )
  await pool.end()
}

/** The address of the relay with the user, password and database of the server. */
function urlThrough(url: string, { host, port }: FreezingRelay): string {
  const through = new URL(url)
  through.hostname = host
  through.port = String(port)
  return through.href
}

/** Freezes all connections under load, once a turn, and reports how long it takes to be as fast as before. */
function freezing(connect: (url: string) => Promise<Reader>) {
  return async (context: BenchContext): Promise<Subject> => {
    await prepare(context)
    const { hostname: host, port } = new URL(context.urls.postgres)
    return {
      async measure() {
        await using relay = await new FreezingRelay({ host, port: Number(port) }).listen()
        const reader = await connect(urlThrough(context.urls.postgres, relay))
        try {
          return await freezeOnce(reader, relay, context.once)
        } finally {
          await reader.close()
        }
      },
    }
  }
}

async function freezeOnce(
  reader: Reader,
  relay: FreezingRelay,
  once: boolean,
): Promise<{ recoveryMs: number; failedReads: number; longestReadMs: number }> {
  const over = new AbortController()
  let answered = 0
  let failedReads = 0
  let longestReadMs = 0
  const caller = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const sentMs = performance.now()
      try {
        await reader.read(1 + Math.floor(Math.random() * 1_000))
        answered += 1
      } catch {
        failedReads += 1
      }
      longestReadMs = Math.max(longestReadMs, performance.now() - sentMs)
    }
  }
  const callers = Array.from({ length: CALLERS }, caller)
  await pause(once ? 50 : WARM_MS)
  const warmedMs = performance.now()
  const answeredBefore = answered
  await pause(once ? 50 : 500)
  const before = (answered - answeredBefore) / (performance.now() - warmedMs)
  relay.freeze()
  const frozenMs = performance.now()
  const steps = [{ atMs: frozenMs, answered }]
  let recoveryMs = LONGEST_MS
  while (performance.now() - frozenMs < LONGEST_MS) {
    await pause(STEP_MS)
    const now = { atMs: performance.now(), answered }
    const from = steps.at(-WINDOW_STEPS)
    steps.push(now)
    if (from === undefined) continue
    if ((now.answered - from.answered) / (now.atMs - from.atMs) >= 0.9 * before) {
      recoveryMs = now.atMs - frozenMs
      break
    }
  }
  // The last of those who were stuck have their answer too.
  over.abort()
  await Promise.all(callers)
  return { recoveryMs, failedReads, longestReadMs }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

const OURS = 'dharma query'

export const benches: readonly Bench[] = [
  defineBench({
    name: 'database.frozen-connections',
    title: 'all connections frozen under load, new ones work',
    servers: ['postgres'],
    rounds: 5,
    subjects: {
      [OURS]: freezing(async (url) => {
        const database = await new PostgresManager({ url }).connect()
        return {
          read: (id) => database.query(SELECT, [id]),
          close: () => database.close({ deadlineMs: 500 }),
        }
      }),
      'pg.Pool, query_timeout 1 s': freezing(async (url) => {
        const pool = new Pool({ connectionString: url, max: 10, query_timeout: 1_000 })
        pool.on('error', () => undefined)
        return {
          read: (id) => pool.query({ name: 'point', text: SELECT, values: [id] }),
          close: () => pool.end(),
        }
      }),
    },
    bars: [
      { subject: OURS, figure: 'failedReads', atMost: 0 },
      { subject: OURS, figure: 'recoveryMs', atMost: 600 },
    ],
  }),
]
