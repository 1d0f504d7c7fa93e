/** What lending costs: resources are empty objects, timeouts and statistics are on in every pool. */
import { EventEmitter } from 'node:events'
import { ConnectionPool, type Lease } from '@dharma/async/connection-pool'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import { createPool } from 'generic-pool'
import { Pool as LightningPool } from 'lightning-pool'
import { Pool as PgPool, type PoolClient, type PoolConfig } from 'pg'
import { Pool as TarnPool } from 'tarn'

const MAX = 10
const BORROWERS = 64
const ACQUIRE_TIMEOUT_MS = 30_000

interface Connection {
  readonly isConnected: boolean
}

const connect = (): Connection => ({ isConnected: true })

/** A client of `pg` that has no server. */
class ServerlessClient extends EventEmitter {
  connect(callback: () => void): void {
    queueMicrotask(callback)
  }
  end(callback: () => void): void {
    queueMicrotask(callback)
  }
  isConnected(): boolean {
    return true
  }
}

/** A pool as the benches drive it. */
interface Candidate<L> {
  acquire(): PromiseLike<L>
  release(lease: L): unknown
  close(): unknown
}

function ours(): Candidate<Lease<Connection>> {
  const pool = new ConnectionPool(
    { create: connect, destroy() {}, validate: () => true },
    { max: MAX, acquireTimeoutMs: ACQUIRE_TIMEOUT_MS },
  )
  return {
    acquire: () => pool.acquire(),
    release: (lease) => lease.release(),
    close: () => pool.close(),
  }
}

function genericPool(): Candidate<Connection> {
  const pool = createPool(
    { create: async () => connect(), destroy: async () => {} },
    { max: MAX, acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS },
  )
  return {
    acquire: () => pool.acquire(),
    release: (resource) => pool.release(resource),
    close: () => pool.drain(),
  }
}

function tarn(): Candidate<Connection> {
  const pool = new TarnPool<Connection>({
    create: async () => connect(),
    destroy: () => {},
    min: 0,
    max: MAX,
    acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS,
  })
  return {
    acquire: () => pool.acquire().promise,
    release: (resource) => pool.release(resource),
    close: () => pool.destroy(),
  }
}

function lightningPool(): Candidate<Connection> {
  const pool = new LightningPool<Connection>(
    { create: async () => connect(), destroy: () => {} },
    { max: MAX, acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS },
  )
  return {
    acquire: () => pool.acquire(),
    release: (resource) => pool.release(resource),
    close: () => pool.closeAsync(true),
  }
}

function pgPool(): Candidate<PoolClient> {
  const pool = new PgPool({
    Client: ServerlessClient as unknown as NonNullable<PoolConfig['Client']>,
    max: MAX,
    connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
  })
  return {
    acquire: () => pool.connect(),
    release: (client) => client.release(),
    close: () => pool.end(),
  }
}

type Run = <L>(pool: Candidate<L>, count: number) => Promise<void>

const oneByOne: Run = async (pool, count) => {
  for (let done = 0; done < count; done++) pool.release(await pool.acquire())
}

const allAtOnce: Run = async (pool, count) => {
  let left = count
  const borrow = async (): Promise<void> => {
    while (left-- > 0) pool.release(await pool.acquire())
  }
  await Promise.all(Array.from({ length: BORROWERS }, borrow))
}

function subjectOf<L>(create: () => Candidate<L>, run: Run): () => Subject {
  return () => {
    const pool = create()
    return {
      iterate: (count) => run(pool, count),
      close: async () => void (await pool.close()),
    }
  }
}

function subjectsBy(run: Run): Bench['subjects'] {
  return {
    ours: subjectOf(ours, run),
    'generic-pool': subjectOf(genericPool, run),
    tarn: subjectOf(tarn, run),
    'lightning-pool': subjectOf(lightningPool, run),
    'pg.Pool': subjectOf(pgPool, run),
  }
}

async function synchronous(): Promise<Subject> {
  const pool = new ConnectionPool(
    { create: connect, destroy() {}, validate: () => true },
    { max: MAX },
  )
  const first = await pool.acquire()
  first.release()
  return {
    iterate(count) {
      for (let done = 0; done < count; done++) pool.tryAcquire()?.release()
    },
    close: () => pool.close(),
  }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'async.pool-free',
    title: 'acquire and release with idle resources',
    subjects: { ...subjectsBy(oneByOne), 'ours, tryAcquire': synchronous },
    bars: [
      { subject: 'ours', over: 'generic-pool', atMost: 0.35 },
      { subject: 'ours', over: 'tarn', atMost: 0.12 },
      { subject: 'ours', over: 'lightning-pool', atMost: 0.33 },
      { subject: 'ours', over: 'pg.Pool', atMost: 0.1 },
      { subject: 'ours, tryAcquire', atMost: 90 },
    ],
  }),
  defineBench({
    name: 'async.pool-contended',
    title: `acquire and release, ${BORROWERS} borrowers of ${MAX} resources`,
    subjects: subjectsBy(allAtOnce),
    bars: [
      { subject: 'ours', over: 'generic-pool', atMost: 0.35 },
      { subject: 'ours', over: 'tarn', atMost: 0.12 },
      { subject: 'ours', over: 'pg.Pool', atMost: 0.33 },
    ],
  }),
]
