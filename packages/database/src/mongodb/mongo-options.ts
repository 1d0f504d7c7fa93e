import { systemClock, type Clock, type Metrics } from '@dharma/core'
import type {
  MongoClientOptions,
  ReadConcernLevel,
  ReadPreferenceMode,
  WriteConcern,
} from 'mongodb'

/**
 * What an acknowledged write survives: `majority` the loss of the primary, `journaled` a crash of
 * the server that stays, `memory` neither.
 */
export type WriteDurability = 'majority' | 'journaled' | 'memory'

/**
 * What a read may see. `local`: the primary's state, parts of which may be undone when it is lost;
 * `majority`: only what stays; `linearizable`: also everything acknowledged before the read began,
 * at the price of a round trip; `secondary`: a replica's state, up to 90 s old.
 */
export type ReadConsistency = 'local' | 'majority' | 'linearizable' | 'secondary'

export interface MongoManagerOptions {
  /** `mongodb://` or `mongodb+srv://`; may hold a password, and is never shown. */
  readonly url: string
  /** @default the one that the URL names, else `test` */
  readonly database?: string
  readonly pool?: MongoPoolOptions
  /**
   * How long an operation may take at most, all waiting included; reads are ended on the server
   * too. Calls that store many documents have a `timeoutMs` of their own. At least 10. @default 30_000
   */
  readonly operationTimeoutMs?: number
  /** How long an operation may look for a member that can take it. At least 100. @default 5000 */
  readonly serverSelectionTimeoutMs?: number
  /**
   * How long the server may be silent in the middle of an operation before its connection is given
   * up; a read is then tried once more. At least 100. @default 30_000
   */
  readonly silenceTimeoutMs?: number
  /** @default 'majority' */
  readonly durability?: WriteDurability
  /** @default 'local' */
  readonly consistency?: ReadConsistency
  /**
   * Whether `insertOne` calls that come in the same turn of the event loop are sent together. Each
   * is answered for itself. @default false
   */
  readonly coalesceInserts?: boolean
  /** How the server and its operators name this service. @default none */
  readonly applicationName?: string
  readonly metrics?: Metrics
  /** @default systemClock */
  readonly clock?: Clock
}

export interface MongoPoolOptions {
  /** Connections kept open. At least 0. @default 2 */
  readonly min?: number
  /**
   * Connections at most. At least 1. The driver's own default of 100 lets one service take a small
   * server's whole budget. @default 20
   */
  readonly max?: number
  /** How long an operation may wait for a free connection. At least 1. @default 5000 */
  readonly waitTimeoutMs?: number
  /** After how long an unused connection is closed. At least 1000. @default 60_000 */
  readonly idleTimeoutMs?: number
}

const WRITE_CONCERNS: Readonly<Record<WriteDurability, Pick<WriteConcern, 'w' | 'journal'>>> = {
  majority: { w: 'majority' },
  journaled: { w: 1, journal: true },
  memory: { w: 1, journal: false },
}

interface ReadSettings {
  readonly readPreference: ReadPreferenceMode
  readonly readConcern: { readonly level: ReadConcernLevel }
  readonly maxStalenessSeconds?: number
}

const READS: Readonly<Record<ReadConsistency, ReadSettings>> = {
  local: { readPreference: 'primary', readConcern: { level: 'local' } },
  majority: { readPreference: 'primary', readConcern: { level: 'majority' } },
  linearizable: { readPreference: 'primary', readConcern: { level: 'linearizable' } },
  secondary: {
    readPreference: 'secondaryPreferred',
    readConcern: { level: 'local' },
    maxStalenessSeconds: 90,
  },
}

export interface MongoSettings {
  readonly client: MongoClientOptions
  readonly operationTimeoutMs: number
  readonly clock: Clock
}

/** @throws RangeError naming option, limit and value */
export function mongoSettings({
  pool = {},
  operationTimeoutMs = 30_000,
  serverSelectionTimeoutMs = 5_000,
  silenceTimeoutMs = 30_000,
  durability = 'majority',
  consistency = 'local',
  applicationName,
  clock = systemClock,
}: MongoManagerOptions): MongoSettings {
  const { min = 2, max = 20, waitTimeoutMs = 5_000, idleTimeoutMs = 60_000 } = pool
  atLeast('operationTimeoutMs', operationTimeoutMs, 10)
  atLeast('serverSelectionTimeoutMs', serverSelectionTimeoutMs, 100)
  atLeast('silenceTimeoutMs', silenceTimeoutMs, 100)
  atLeast('pool.min', min, 0)
  atLeast('pool.max', max, Math.max(1, min))
  atLeast('pool.waitTimeoutMs', waitTimeoutMs, 1)
  atLeast('pool.idleTimeoutMs', idleTimeoutMs, 1000)
  const client: MongoClientOptions = {
    minPoolSize: min,
    maxPoolSize: max,
    waitQueueTimeoutMS: waitTimeoutMs,
    maxIdleTimeMS: idleTimeoutMs,
    serverSelectionTimeoutMS: serverSelectionTimeoutMs,
    connectTimeoutMS: serverSelectionTimeoutMs,
    socketTimeoutMS: silenceTimeoutMs,
    writeConcern: choice('durability', durability, WRITE_CONCERNS),
    ...choice('consistency', consistency, READS),
    retryReads: true,
    retryWrites: true,
    ...(applicationName === undefined ? {} : { appName: applicationName }),
  }
  return { client, operationTimeoutMs, clock }
}

function atLeast(option: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min) return
  throw new RangeError(`${option} must be a whole number of at least ${min}, got ${value}`)
}

function choice<Name extends string, T>(
  option: string,
  name: Name,
  choices: Readonly<Record<Name, T>>,
): T {
  if (Object.hasOwn(choices, name)) return choices[name]
  throw new RangeError(`${option} must be one of ${Object.keys(choices).join(', ')}, got ${name}`)
}
