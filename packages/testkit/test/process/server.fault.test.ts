import { connect } from 'node:net'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { Client } from 'pg'
import {
  FaultUnsupportedError,
  startFaultProxy,
  startMongo,
  startPostgres,
  startRedis,
  type TestServer,
} from '@dharma/testkit'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'

interface Case {
  readonly kind: 'redis' | 'postgres' | 'mongo'
  readonly start: () => Promise<TestServer>
  readonly write: (url: string) => Promise<void>
  readonly hasWritten: (url: string) => Promise<boolean>
}

const CASES: readonly Case[] = [
  {
    kind: 'redis',
    start: () => startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } }),
    write: (url) => withRedis(url, async (redis) => void (await redis.set('mark', '1'))),
    hasWritten: (url) => withRedis(url, async (redis) => (await redis.get('mark')) === '1'),
  },
  {
    kind: 'postgres',
    start: () => startPostgres({ dedicated: true }),
    write: (url) => withPostgres(url, async (pg) => void (await pg.query('create table mark ()'))),
    hasWritten: (url) =>
      withPostgres(url, async (pg) => {
        const { rows } = await pg.query("select to_regclass('mark') as mark")
        return rows[0].mark === 'mark'
      }),
  },
  {
    kind: 'mongo',
    start: () => startMongo({ dedicated: true }),
    write: (url) =>
      withMongo(url, async (mongo) => {
        const marks = mongo.db('test').collection('marks')
        await marks.insertOne({ mark: 1 }, { writeConcern: { w: 'majority', journal: true } })
      }),
    hasWritten: (url) =>
      withMongo(
        url,
        async (mongo) => (await mongo.db('test').collection('marks').countDocuments()) > 0,
      ),
  },
]
const URLS = { redis: 'redisUrl', postgres: 'postgresUrl', mongo: 'mongoUrl' } as const

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url)
  try {
    return await use(redis)
  } finally {
    redis.disconnect()
  }
}

async function withPostgres<T>(url: string, use: (pg: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

async function withMongo<T>(url: string, use: (mongo: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url)
  try {
    return await use(client)
  } finally {
    await client.close()
  }
}

async function isListening({ host, port }: TestServer): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const available = CASES.filter(({ kind }) => inject(URLS[kind]) !== '')

describe.for(available)('a $kind that is broken', ({ start, write, hasWritten }) => {
  let server: TestServer

  beforeAll(async () => {
    server = await start()
    await write(server.url)
  })

  afterAll(() => server.close())

  it('hangs by stop with its port open, and goes on by cont', async () => {
    await server.stop()
    expect(server.state).toBe('stopped')
    expect(await isListening(server)).toBe(true)
    const asked = hasWritten(server.url)
    const silence = once(AbortSignal.timeout(150), 'abort').then(() => 'silent')
    expect(await Promise.race([asked, silence])).toBe('silent')
    await server.cont()
    expect(await asked).toBe(true)
  })

  it('is gone by kill, and comes back on its port with what it had made durable', async () => {
    const { pid, port, url } = server
    await server.kill()
    expect(server).toMatchObject({ state: 'killed', pid: undefined })
    expect(await isListening(server)).toBe(false)
    await server.restart()
    expect(server).toMatchObject({ state: 'running', port, url })
    expect(server.pid).not.toBe(pid)
    expect(await hasWritten(server.url)).toBe(true)
  })

  it('can be killed while it hangs', async () => {
    await server.stop()
    await server.kill()
    expect(server.state).toBe('killed')
    await server.restart()
    expect(await hasWritten(server.url)).toBe(true)
  })

  it('is reached through a proxy', async () => {
    await using proxy = await startFaultProxy(server)
    expect(await hasWritten(proxy.urlOf(server))).toBe(true)
    expect(proxy.statistics.acceptedConnections).toBeGreaterThan(0)
  })

  it('forgets all by a restart without its data', async () => {
    await server.restart({ keepData: false })
    expect(await hasWritten(server.url)).toBe(false)
    await write(server.url)
  })

  it('refuses faults that its state does not allow', async () => {
    await expect(server.cont()).rejects.toBeInstanceOf(FaultUnsupportedError)
    await server.kill()
    for (const fault of ['kill', 'stop', 'cont'] as const) {
      await expect(server[fault]()).rejects.toThrow(/it is killed/u)
    }
    await server.restart()
    expect(server.state).toBe('running')
  })

  it('is closed in any state, and only once', async () => {
    await server.stop()
    await Promise.all([server.close(), server.close()])
    expect(await isListening(server)).toBe(false)
    await expect(server.restart()).rejects.toThrow(/it is closed/u)
  })
})
