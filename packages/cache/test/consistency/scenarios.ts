import { setTimeout as pause } from 'node:timers/promises'
import {
  clusterFailover,
  killClusterMaster,
  killSentinelMaster,
  migrateSlot,
  sentinelFailover,
} from './failover-faults.ts'
import {
  blackHole,
  cutConnections,
  delayBytes,
  dropMetadata,
  freezeWorker,
  hang,
  keepListenersDead,
  killAllConnections,
  killListeners,
  refuseConnections,
  restartEmpty,
  starve,
  trimLog,
  type Fault,
} from './faults.ts'
import type { Topology } from './site.ts'

/** A kind of trouble, for as long as a run lasts. */
export interface Scenario {
  readonly name: string
  readonly topology: Topology
  /** Chosen at random, one after the other. */
  readonly faults: readonly Fault[]
  /** Mean pause between two faults. */
  readonly faultEveryMs: number
  /** Of each process' wall clock; its length is the number of processes. */
  readonly skewsMs: readonly number[]
  readonly durability: 'acknowledged' | 'replicated'
  /** Whether no call may take longer than one deadline: where all processes meet the same outage. */
  readonly isStrict: boolean
}

function scenario(name: string, faults: readonly Fault[], more: Partial<Scenario> = {}): Scenario {
  return {
    name,
    faults,
    topology: 'standalone',
    faultEveryMs: 700,
    skewsMs: [0, 0, 0],
    durability: 'acknowledged',
    isStrict: false,
    ...more,
  }
}

const SKEWED = { skewsMs: [0, 10_000, -10_000] }
const REPLICATED = { durability: 'replicated', faultEveryMs: 300 } as const

/** Loads in flight are met by invalidations of every kind; nothing else goes wrong. */
export const races: Scenario = scenario('invalidations meet loads in flight', [])

export const skewedClocks: Scenario = scenario('clocks are 20 s apart', [], SKEWED)

export const listenersKilled: Scenario = scenario('connections that listen are killed', [
  killListeners,
  keepListenersDead,
  keepListenersDead,
  killAllConnections,
])

export const restarts: Scenario = scenario('Redis comes back empty', [restartEmpty], {
  isStrict: true,
})

export const hangs: Scenario = scenario('Redis hangs', [hang], { isStrict: true })

export const brokenWays: Scenario = scenario('ways to Redis are cut, slow, or swallow all', [
  cutConnections,
  refuseConnections,
  blackHole,
  delayBytes,
])

export const metadataLost: Scenario = scenario('metadata is evicted', [
  dropMetadata,
  dropMetadata,
  starve,
])

export const logTrimmed: Scenario = scenario('the log is trimmed while nobody listens', [
  killListeners,
  trimLog,
  async (scene) => {
    await Promise.all([keepListenersDead(scene), pause(80).then(() => trimLog(scene))])
  },
])

export const frozenProcesses: Scenario = scenario('processes stand still', [freezeWorker])

/** Everything that can happen to one server, with clocks that differ. */
export const everything: Scenario = scenario(
  'everything at once',
  [
    killListeners,
    keepListenersDead,
    killAllConnections,
    restartEmpty,
    hang,
    cutConnections,
    refuseConnections,
    blackHole,
    delayBytes,
    dropMetadata,
    starve,
    trimLog,
    freezeWorker,
  ],
  { ...SKEWED, faultEveryMs: 500 },
)

export const sentinelFailovers: Scenario = scenario(
  'sentinels change the master',
  [sentinelFailover, killSentinelMaster],
  { ...REPLICATED, topology: 'sentinel' },
)

export const clusterChanges: Scenario = scenario(
  'a cluster fails over and moves slots',
  [migrateSlot, clusterFailover, killClusterMaster],
  { ...REPLICATED, topology: 'cluster' },
)
