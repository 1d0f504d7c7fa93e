import type { TestProject } from 'vitest/node'
import { ServerUnavailableError } from '../errors.ts'
import { startMongo } from '../mongo/start-mongo.ts'
import { startPostgres } from '../postgres/start-postgres.ts'
import { startRedis } from '../redis/start-redis.ts'
import type { ServerKind, TestServer } from '../test-server.ts'

type Servers = Readonly<Record<ServerKind, TestServer | undefined>>

/** Shared over the projects of one run: each project loads this module for itself. */
interface SharedRun {
  servers: Promise<Servers> | undefined
  users: number
}

const STARTS: Readonly<Record<ServerKind, () => Promise<TestServer>>> = {
  redis: startRedis,
  postgres: startPostgres,
  mongo: startMongo,
}

/**
 * Starts one Redis, one PostgreSQL and one MongoDB for the whole run and gives their addresses to the tests
 * by `inject('redisUrl')`, `inject('postgresUrl')` and `inject('mongoUrl')`. A missing one is `''`, except
 * with `CI=true`, where every server must be there.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = sharedRun()
  shared.users += 1
  shared.servers ??= startAll()
  const servers = await shared.servers
  project.provide('redisUrl', servers.redis?.url ?? '')
  project.provide('postgresUrl', servers.postgres?.url ?? '')
  project.provide('mongoUrl', servers.mongo?.url ?? '')
  return async () => {
    shared.users -= 1
    if (shared.users > 0) return
    shared.servers = undefined
    await Promise.all(Object.values(servers).map(async (server) => server?.close()))
  }
}

function sharedRun(): SharedRun {
  const key = Symbol.for('dharma.testkit.run')
  const holder = globalThis as { [key]?: SharedRun }
  holder[key] ??= { servers: undefined, users: 0 }
  return holder[key]
}

async function startAll(): Promise<Servers> {
  const [redis, postgres, mongo] = await Promise.allSettled([
    startOrSay('redis'),
    startOrSay('postgres'),
    startOrSay('mongo'),
  ])
  const outcomes = [redis, postgres, mongo]
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed === undefined) {
    return { redis: valueOf(redis), postgres: valueOf(postgres), mongo: valueOf(mongo) }
  }
  await Promise.all(outcomes.map(async (outcome) => valueOf(outcome)?.close()))
  throw failed.reason
}

async function startOrSay(kind: ServerKind): Promise<TestServer | undefined> {
  try {
    return await STARTS[kind]()
  } catch (error) {
    if (process.env['CI'] === 'true' || !(error instanceof ServerUnavailableError)) throw error
    process.stderr.write(
      `\n!!! NO ${kind.toUpperCase()}: ITS TESTS ARE SKIPPED !!! ${error.message}\n\n`,
    )
    return undefined
  }
}

function valueOf(outcome: PromiseSettledResult<TestServer | undefined>): TestServer | undefined {
  return outcome.status === 'fulfilled' ? outcome.value : undefined
}
