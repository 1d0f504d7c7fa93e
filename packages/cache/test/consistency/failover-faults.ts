import { setTimeout as pause } from 'node:timers/promises'
import type { TestServer } from '@dharma/testkit'
import { onServer } from './control.ts'
import type { Fault, FaultScene } from './faults.ts'
import { createKeyspace } from './keyspace.ts'
import { machineMs } from './machine-time.ts'

const TAKEOVER_MS = 20_000

/** A planned failover of the sentinels' master. */
export const sentinelFailover: Fault = async ({ site, note }) => {
  const { sentinel } = site
  if (sentinel === undefined) throw new RangeError('this fault is for sentinels')
  const before = await sentinel.master()
  await sentinel.failover()
  note('sentinels change the master')
  await until(async () => (await sentinel.master()) !== before)
  await until(async () => (await connectedReplicas(await sentinel.master())) === 2)
  note('another node is the master')
}

/** The sentinels' master dies, and comes back as a replica. */
export const killSentinelMaster: Fault = async ({ site, note }) => {
  const { sentinel } = site
  if (sentinel === undefined) throw new RangeError('this fault is for sentinels')
  const before = await sentinel.master()
  await before.kill()
  note('master killed')
  await until(async () => (await sentinel.master()) !== before)
  note('another node is the master')
  await before.restart()
  await until(async () => (await connectedReplicas(await sentinel.master())) === 2)
  note('the old master is a replica')
}

/** A planned failover of one shard of the cluster. */
export const clusterFailover: Fault = async (scene) => {
  const { site, note } = scene
  const name = someName(scene)
  const before = await masterOf(scene, name)
  const replica = await replicaOf(scene, before)
  await onServer(replica, (redis) => redis.cluster('FAILOVER'))
  note(`shard of ${name} changes its master`)
  await until(async () => (await masterOf(scene, name)) !== before)
  await site.cluster?.settled()
  note(`shard of ${name} has another master`)
}

/** A master of the cluster dies, and comes back as a replica. */
export const killClusterMaster: Fault = async (scene) => {
  const name = someName(scene)
  const before = await masterOf(scene, name)
  await before.kill()
  scene.note(`master of ${name} killed`)
  await until(async () => (await masterOf(scene, name)) !== before)
  scene.note(`shard of ${name} has another master`)
  await before.restart()
  await scene.site.cluster?.settled()
}

/** What a fault of the cluster needs of a scene. */
type ClusterScene = Pick<FaultScene, 'workers' | 'random' | 'namespace' | 'note'> & {
  readonly site: Pick<FaultScene['site'], 'cluster'>
}

/** The slot of some key, or of the log, moves to another shard, key by key, under load. */
export const migrateSlot = async (scene: ClusterScene): Promise<void> => {
  const { site, note, random } = scene
  const name = someName(scene)
  const from = await masterOf(scene, name)
  const masters: TestServer[] = []
  for (const node of site.cluster?.nodes ?? []) {
    const role = await onServer(node, (redis) => redis.role())
    if ((role as readonly unknown[])[0] === 'master') masters.push(node)
  }
  const to = random.pick(masters.filter((node) => node !== from))
  const idOf = (node: TestServer): Promise<string> =>
    onServer(node, (redis) => redis.cluster('MYID'))
  const [fromId, toId] = await Promise.all([idOf(from), idOf(to)])
  const slot = await onServer(from, (redis) => redis.cluster('KEYSLOT', name))
  await onServer(to, (redis) => redis.cluster('SETSLOT', slot, 'IMPORTING', fromId))
  await onServer(from, (redis) => redis.cluster('SETSLOT', slot, 'MIGRATING', toId))
  note(`slot of ${name} moves`)
  await pause(random.integer(0, 300))
  await onServer(from, async (redis) => {
    for (;;) {
      const names = await redis.cluster('GETKEYSINSLOT', slot, 10)
      if (names.length === 0) return
      await redis.call('MIGRATE', to.host, to.port, '', 0, 2_000, 'REPLACE', 'KEYS', ...names)
      await pause(random.integer(0, 40))
    }
  })
  for (const node of [to, from, ...masters]) {
    await onServer(node, (redis) => redis.cluster('SETSLOT', slot, 'NODE', toId))
  }
  note(`slot of ${name} has moved`)
}

/** Name in Redis of an entry, or of what the log needs. */
function someName({ random, namespace, workers }: ClusterScene): string {
  const { subjects, tags } = createKeyspace(workers.length)
  return random.pick([
    `${namespace}:inv`,
    `${namespace}:t:${random.pick(tags)}`,
    `${namespace}:e:{${random.pick(subjects).key}}`,
    `${namespace}:e:{${random.pick(subjects).key}}`,
  ])
}

async function masterOf({ site }: ClusterScene, name: string): Promise<TestServer> {
  if (site.cluster === undefined) throw new RangeError('this fault is for a cluster')
  return site.cluster.masterOf(name)
}

async function replicaOf({ site }: FaultScene, master: TestServer): Promise<TestServer> {
  for (const node of site.cluster?.nodes ?? []) {
    const role = (await onServer(node, (redis) => redis.role())) as readonly unknown[]
    if (role[0] === 'slave' && Number(role[2]) === master.port) return node
  }
  throw new Error(`the master on port ${master.port} has no replica`)
}

async function connectedReplicas(master: TestServer): Promise<number> {
  const info = await onServer(master, (redis) => redis.info('replication'))
  return info.match(/^slave\d+:.*state=online/gmu)?.length ?? 0
}

async function until(probe: () => Promise<boolean>): Promise<void> {
  const endMs = machineMs() + TAKEOVER_MS
  for (;;) {
    // While it changes, nobody may be there to ask.
    if (await probe().catch(() => false)) return
    if (machineMs() > endMs) throw new Error(`no takeover within ${TAKEOVER_MS} ms`)
    await pause(50)
  }
}
