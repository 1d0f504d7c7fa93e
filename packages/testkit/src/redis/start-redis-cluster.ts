import { freePort } from '../process/free-port.ts'
import type { StartOptions, TestServer } from '../test-server.ts'
import { infoField, redisCommand } from './redis-command.ts'
import type { RedisOptions } from './redis-options.ts'
import { redisExecutable, startRedisProcess } from './start-redis.ts'
import { closeAll, settle, startAll } from './topology.ts'

/** What {@link startRedisCluster} takes. */
export interface RedisClusterOptions extends StartOptions {
  /** Directives for all six nodes. */
  readonly config?: NonNullable<RedisOptions['config']>
  /** Silence after which nodes hold another for failed; 200 or more. @default 1000 */
  readonly nodeTimeoutMs?: number
}

/** Three shards of a master and a replica each. A node that restarts without its data has left the cluster. */
export interface RedisClusterTopology extends AsyncDisposable {
  /** All six; at the start the first three are the masters, and node `n + 3` replicates node `n`. */
  readonly nodes: readonly TestServer[]
  /** The node that serves a key's slot at this moment, as the running nodes see it. */
  masterOf(key: string): Promise<TestServer>
  /** Waits until all running nodes see three shards of two and a cluster in order, as after a repair. */
  settled(): Promise<void>
  close(): Promise<void>
}

const SHARDS = 3
const SLOTS = 16_384

/** Starts six nodes as processes of this machine and waits until all agree on three shards of two. */
export async function startRedisCluster(
  options: RedisClusterOptions = {},
): Promise<RedisClusterTopology> {
  const { signal, readyTimeoutMs, nodeTimeoutMs = 1000 } = options
  if (!(nodeTimeoutMs >= 200)) {
    throw new RangeError(`nodeTimeoutMs must be 200 or more, got ${nodeTimeoutMs}`)
  }
  const executable = await redisExecutable()
  const limits = { signal, ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }) }
  const nodes = await startAll(
    Array.from({ length: SHARDS * 2 }, () => async () => {
      const config = {
        'cluster-enabled': 'yes',
        'cluster-node-timeout': nodeTimeoutMs,
        // By default it is the port plus 10000, which another server may have.
        'cluster-port': await freePort(),
        'repl-diskless-sync-delay': 0,
        ...options.config,
      }
      return startRedisProcess(executable, { ...limits, config })
    }),
  )
  await joinNodes(nodes, options).catch(async (error: unknown) => {
    await closeAll(nodes)
    throw error
  })
  const close = (): Promise<void> => closeAll(nodes)
  return {
    nodes,
    masterOf: (key) => masterOf(nodes, key),
    settled: () => settle('redis cluster', [], () => agree(running(nodes)), options),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function joinNodes(nodes: readonly TestServer[], options: StartOptions): Promise<void> {
  const masters = nodes.slice(0, SHARDS)
  const [seed] = masters
  if (seed === undefined) return
  for (const [index, master] of masters.entries()) {
    const first = Math.floor((index * SLOTS) / SHARDS)
    const last = Math.floor(((index + 1) * SLOTS) / SHARDS) - 1
    await redisCommand(master, 'CLUSTER', 'ADDSLOTSRANGE', first, last)
    // Nodes with equal epochs would first have to settle whose slots win.
    await redisCommand(master, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  const seedBus = await busPort(seed)
  for (const node of nodes.slice(1)) {
    await redisCommand(node, 'CLUSTER', 'MEET', seed.host, seed.port, seedBus)
  }
  const allMet = async (): Promise<boolean> => {
    const infos = await Promise.all(nodes.map((node) => redisCommand(node, 'CLUSTER', 'INFO')))
    return infos.every((info) => infoField(info, 'cluster_known_nodes') === String(nodes.length))
  }
  await settle('redis cluster', nodes, allMet, options)
  for (const [index, master] of masters.entries()) {
    const replica = nodes[index + SHARDS]
    if (replica === undefined) continue
    const id = String(await redisCommand(master, 'CLUSTER', 'MYID'))
    await redisCommand(replica, 'CLUSTER', 'REPLICATE', id)
  }
  await settle('redis cluster', nodes, () => agree(nodes), options)
}

async function busPort(node: TestServer): Promise<number> {
  const reply = await redisCommand(node, 'CONFIG', 'GET', 'cluster-port')
  return Number((reply as readonly string[])[1])
}

/** Whether each of the nodes sees the cluster in order, with three masters that have slots and a replica each. */
async function agree(nodes: readonly TestServer[]): Promise<boolean> {
  const views = await Promise.all(
    nodes.map(async (node) => ({
      info: await redisCommand(node, 'CLUSTER', 'INFO'),
      rows: nodeRows(await redisCommand(node, 'CLUSTER', 'NODES')),
      replication: await redisCommand(node, 'INFO', 'replication'),
    })),
  )
  return views.every(({ info, rows, replication }) => {
    const healthy = rows.filter(({ flags }) => !flags.some((flag) => flag.startsWith('fail')))
    const masters = healthy.filter(
      ({ flags, slots }) => flags.includes('master') && slots.length > 0,
    )
    const followed = new Set(
      healthy.filter(({ flags }) => flags.includes('slave')).map(({ masterId }) => masterId),
    )
    const link = infoField(replication, 'master_link_status')
    return (
      infoField(info, 'cluster_state') === 'ok' &&
      masters.length === SHARDS &&
      masters.every(({ id }) => followed.has(id)) &&
      (link === undefined || link === 'up')
    )
  })
}

interface NodeRow {
  readonly id: string
  readonly port: number
  readonly flags: readonly string[]
  readonly masterId: string
  readonly slots: readonly string[]
}

/** The lines of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, then the slots. */
function nodeRows(reply: unknown): readonly NodeRow[] {
  const lines = String(reply).trim().split('\n')
  return lines.map((line) => {
    const [id = '', address = '', flags = '', masterId = '', , , , , ...slots] = line.split(' ')
    const port = Number(/:(\d+)@/u.exec(address)?.[1])
    return { id, port, flags: flags.split(','), masterId, slots }
  })
}

async function masterOf(nodes: readonly TestServer[], key: string): Promise<TestServer> {
  const [viewer] = running(nodes)
  if (viewer === undefined) throw new Error('no node of the cluster runs')
  const slot = Number(await redisCommand(viewer, 'CLUSTER', 'KEYSLOT', key))
  const rows = nodeRows(await redisCommand(viewer, 'CLUSTER', 'NODES'))
  const owner = rows.find(
    ({ flags, slots }) => flags.includes('master') && slots.some((range) => holds(range, slot)),
  )
  const master = nodes.find(({ port }) => port === owner?.port)
  if (master === undefined) throw new Error(`nobody serves slot ${slot} at this moment`)
  return master
}

function holds(range: string, slot: number): boolean {
  const [first, last = first] = range.split('-').map(Number)
  return first !== undefined && last !== undefined && first <= slot && slot <= last
}

function running(nodes: readonly TestServer[]): readonly TestServer[] {
  return nodes.filter(({ state }) => state === 'running')
}
