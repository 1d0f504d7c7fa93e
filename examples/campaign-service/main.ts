/**
 * `npm start [-- --once] [--load small|full] [--port N]`: starts Redis, PostgreSQL and MongoDB, loads
 * real and generated data, drives the service with and without its cache, and prints what that
 * changed. Then it serves until Ctrl-C; with `--once` it ends, with 1 if a request failed.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { MongoManager } from '@dharma/database/mongodb'
import { PostgresManager } from '@dharma/database/postgres'
import { startMongo, startPostgres, startRedis } from '@dharma/testkit'
import { loadData, type DataSize } from './data/load-data.ts'
import { measureInserts } from './load/insert-rates.ts'
import { compareReads, countStaleReads, measureScoring } from './load/measure-service.ts'
import { renderResults } from './load/result-table.ts'
import { ServiceProcess } from './load/service-process.ts'

interface Load {
  readonly data: DataSize
  readonly requests: number
  readonly inserts: number
  readonly writes: number
  readonly tasks: number
}

const LOADS: Readonly<Record<string, Load>> = {
  small: {
    data: { flights: 30_000, profiles: 5_000, followsEach: 2, posts: 5_000 },
    requests: 2_000,
    inserts: 5_000,
    writes: 50,
    tasks: 400,
  },
  full: {
    data: { flights: 200_000, profiles: 60_000, followsEach: 3, posts: 60_000 },
    requests: 40_000,
    inserts: 50_000,
    writes: 500,
    tasks: 4_000,
  },
}

const { values } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    load: { type: 'string', default: 'full' },
    port: { type: 'string', default: '0' },
  },
})
const load = LOADS[values.load]
if (load === undefined) {
  throw new RangeError(`--load must be one of ${Object.keys(LOADS).join(', ')}, got ${values.load}`)
}

const stopped = stopSignal()
await using resources = new AsyncDisposableStack()
try {
  process.exitCode = await Promise.race([run(load, resources), stopped])
} catch (error) {
  console.error(`\nThe main job failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function run(size: Load, owned: AsyncDisposableStack): Promise<number> {
  process.stderr.write('Starting Redis, PostgreSQL and MongoDB …\n')
  const [redis, postgresServer, mongoServer] = await Promise.all([
    startRedis().then((server) => owned.use(server)),
    startPostgres().then((server) => owned.use(server)),
    startMongo().then((server) => owned.use(server)),
  ])
  const postgres = owned.use(await new PostgresManager({ url: postgresServer.url }).connect())
  const mongo = owned.use(
    await new MongoManager({ url: mongoServer.url, database: 'campaigns' }).connect(),
  )
  const data = await loadData(postgres, mongo, size.data)
  const urls = { postgres: postgresServer.url, mongo: mongoServer.url, redis: redis.url }
  const service = owned.use(await ServiceProcess.start(urls, Number(values.port)))
  process.stderr.write('Driving load …\n')
  const reads = await compareReads(service.url, size.requests, size.data.profiles)
  const staleReads = await countStaleReads(service.url, size.writes)
  const oneByOne = await measureScoring(service.url, Math.ceil(size.tasks / 20), 1)
  const together = await measureScoring(service.url, size.tasks, 400)
  const inserts = await measureInserts(postgres, size.inserts)
  const { writes } = size
  console.log(renderResults({ data, inserts, reads, staleReads, writes, oneByOne, together }))
  const failed = reads.reduce(
    (sum, { uncached, cached }) => sum + uncached.failed + cached.failed,
    0,
  )
  if (failed + staleReads > 0) {
    process.stderr.write(`${failed} requests failed, ${staleReads} reads were stale\n`)
    return 1
  }
  if (values.once) return 0
  console.log(
    `The service is at ${service.url} (try /profiles/1, /metrics, /readyz). Ctrl-C ends it.`,
  )
  return stopped
}

/** Resolves when the user or the system asks the process to end; a second request ends it at once. */
function stopSignal(): Promise<number> {
  return Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => {
    process.stderr.write('\nStopping …\n')
    return 130
  })
}
