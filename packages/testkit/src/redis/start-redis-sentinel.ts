import type { Address, StartOptions, TestServer } from '../test-server.ts'
import { infoField, redisCommand } from './redis-command.ts'
import type { RedisOptions } from './redis-options.ts'
import { redisExecutable, startRedisProcess } from './start-redis.ts'
import { closeAll, settle, startAll } from './topology.ts'

/** What {@link startRedisSentinel} takes. */
export interface RedisSentinelOptions extends StartOptions {
  /** Directives for the three data nodes. */
  readonly config?: NonNullable<RedisOptions['config']>
  /** Silence after which a sentinel holds a node for down; 100 or more. @default 1000 */
  readonly downAfterMs?: number
  /** The sentinels' limit for one failover. @default 5000 */
  readonly failoverTimeoutMs?: number
}

/** One master with two replicas, and three sentinels that watch them with a quorum of two. */
export interface RedisSentinelTopology extends AsyncDisposable {
  /** The name under which clients ask the sentinels for the master. */
  readonly masterName: string
  /** The data nodes; the first was the master at the start. */
  readonly nodes: readonly TestServer[]
  readonly sentinels: readonly TestServer[]
  /** The master that most sentinels name at this moment; ask again after a failover. */
  master(): Promise<TestServer>
  /** A planned failover; resolves when a sentinel has agreed to it, before it is done. */
  failover(): Promise<void>
  close(): Promise<void>
}

const MASTER_NAME = 'testkit'
const DATA_NODES = 3
const SENTINELS = 3

/** Starts the topology as processes of this machine and waits until each sentinel knows all others. */
export async function startRedisSentinel(
  options: RedisSentinelOptions = {},
): Promise<RedisSentinelTopology> {
  const executable = await redisExecutable()
  const { signal, readyTimeoutMs } = options
  const limits = { signal, ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }) }
  const config = { 'repl-diskless-sync-delay': 0, ...options.config }
  const first = await startRedisProcess(executable, { ...limits, config })
  const others = await startAll(
    Array.from({ length: DATA_NODES - 1 }, () => () => {
      const replica = { ...config, replicaof: `${first.host} ${first.port}` }
      return startRedisProcess(executable, { ...limits, config: replica })
    }),
  ).catch((error: unknown) => closeAndThrow([first], error))
  const nodes = [first, ...others]
  const sentinels = await startAll(
    Array.from({ length: SENTINELS }, () => () => {
      const directives = { sentinel: sentinelDirectives(first, options) }
      return startRedisProcess(executable, { ...limits, config: directives }, ['--sentinel'])
    }),
  ).catch((error: unknown) => closeAndThrow(nodes, error))
  const all = [...nodes, ...sentinels]
  await settle('redis sentinel', all, () => isSettled(nodes, sentinels), options)
  const close = (): Promise<void> => closeAll(all)
  return {
    masterName: MASTER_NAME,
    nodes,
    sentinels,
    master: () => currentMaster(nodes, sentinels),
    failover: async () => {
      await redisCommand(firstRunning(sentinels), 'SENTINEL', 'FAILOVER', MASTER_NAME)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function sentinelDirectives(master: Address, options: RedisSentinelOptions): readonly string[] {
  const { downAfterMs = 1000, failoverTimeoutMs = 5000 } = options
  if (!(downAfterMs >= 100)) {
    throw new RangeError(`downAfterMs must be 100 or more, got ${downAfterMs}`)
  }
  return [
    `monitor ${MASTER_NAME} ${master.host} ${master.port} 2`,
    `down-after-milliseconds ${MASTER_NAME} ${downAfterMs}`,
    `failover-timeout ${MASTER_NAME} ${failoverTimeoutMs}`,
    `parallel-syncs ${MASTER_NAME} 2`,
  ]
}

async function isSettled(
  nodes: readonly TestServer[],
  sentinels: readonly TestServer[],
): Promise<boolean> {
  const replicas = await Promise.all(
    nodes.slice(1).map((node) => redisCommand(node, 'INFO', 'replication')),
  )
  if (replicas.some((info) => infoField(info, 'master_link_status') !== 'up')) return false
  const views = await Promise.all(
    sentinels.map((sentinel) => redisCommand(sentinel, 'SENTINEL', 'MASTER', MASTER_NAME)),
  )
  return views.every((view) => {
    const field = pairs(view)
    return (
      field['flags'] === 'master' &&
      field['num-slaves'] === String(DATA_NODES - 1) &&
      field['num-other-sentinels'] === String(SENTINELS - 1)
    )
  })
}

async function currentMaster(
  nodes: readonly TestServer[],
  sentinels: readonly TestServer[],
): Promise<TestServer> {
  const votes = new Map<number, number>()
  for (const sentinel of sentinels.filter(({ state }) => state === 'running')) {
    const reply = await redisCommand(sentinel, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)
    const port = Number((reply as readonly string[])[1])
    votes.set(port, (votes.get(port) ?? 0) + 1)
  }
  const [winner] = [...votes].toSorted(([, a], [, b]) => b - a)
  const master = nodes.find(({ port }) => port === winner?.[0])
  if (master === undefined) throw new Error('no sentinel names one of the nodes as the master')
  return master
}

function firstRunning(servers: readonly TestServer[]): TestServer {
  const running = servers.find(({ state }) => state === 'running')
  if (running === undefined) throw new Error('no sentinel runs')
  return running
}

function pairs(reply: unknown): Readonly<Record<string, string>> {
  const flat = (reply as readonly unknown[]).map(String)
  return Object.fromEntries(
    flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [])),
  )
}

async function closeAndThrow(servers: readonly TestServer[], error: unknown): Promise<never> {
  await closeAll(servers)
  throw error
}
