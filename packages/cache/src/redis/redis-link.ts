import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { toError } from '@dharma/core'
import type * as Ioredis from 'ioredis'
import type { Cluster, Redis } from 'ioredis'
import {
  checkRedisTarget,
  clusterNodes,
  isRedisClient,
  type ClusterRedisOptions,
  type RedisTarget,
  type SentinelRedisOptions,
  type StandaloneRedisOptions,
} from './redis-options.ts'

export type RedisClient = Redis | Cluster

const CONNECT_TIMEOUT_MS = 1_000
const MAX_RECONNECT_DELAY_MS = 500

/**
 * A client with the defaults that a cache needs: commands fail at once while there is no
 * connection, none is sent twice, and it reconnects for ever. Errors that belong to no command are
 * given to `onError`, never thrown.
 */
export class RedisLink {
  readonly client: RedisClient
  /** The client, where it is a cluster's. */
  readonly cluster: Cluster | undefined
  readonly #isOwned: boolean
  readonly #onError: (error: Error) => void
  #revival: NodeJS.Timeout | undefined
  #revivals = 0

  private constructor(client: RedisClient, isOwned: boolean, onError: (error: Error) => void) {
    this.client = client
    this.cluster = isClusterClient(client) ? client : undefined
    this.#isOwned = isOwned
    this.#onError = onError
    client.on('error', onError)
    this.cluster?.on('node error', onError)
    if (isOwned) client.on('end', this.#revive).on('ready', this.#revived)
  }

  /** Begins to connect, without waiting for it. A client that is passed in is used, and never closed. */
  static open(target: RedisTarget, onError: (error: Error) => void): RedisLink {
    checkRedisTarget(target)
    if (isRedisClient(target)) return new RedisLink(target, false, onError)
    return new RedisLink(createClient(target), true, onError)
  }

  get isCluster(): boolean {
    return this.cluster !== undefined
  }

  get isReady(): boolean {
    return this.client.status === 'ready'
  }

  /** Resolves when commands can be sent; rejects with the signal's reason. */
  whenReady(signal: AbortSignal): Promise<void> {
    const { client } = this
    if (this.isReady) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        client.off('ready', settle)
        signal.removeEventListener('abort', settle)
        if (signal.aborted) reject(toError(signal.reason))
        else resolve()
      }
      client.on('ready', settle)
      signal.addEventListener('abort', settle)
    })
  }

  /** A second connection, for commands that block. It is the caller's to close. */
  duplicate(): RedisLink {
    const { client } = this
    if (isClusterClient(client)) {
      const options = clusterDefaults()
      const own = client.options.redisOptions as Readonly<Record<string, unknown>> | undefined
      const redisOptions = { ...own, ...options.redisOptions }
      return new RedisLink(client.duplicate([], { ...options, redisOptions }), true, this.#onError)
    }
    const copy = client.duplicate({ ...redisDefaults(), lazyConnect: false })
    return new RedisLink(copy, true, this.#onError)
  }

  /**
   * Gives up a connection that does not answer, so that a new one is made. The socket itself is
   * destroyed: a late reply then finds no queue to upset.
   */
  reset(): void {
    const { client } = this
    if (isClusterClient(client)) {
      for (const node of client.nodes()) destroySocket(node)
    } else {
      destroySocket(client)
    }
  }

  close(): void {
    if (!this.#isOwned) {
      this.client.off('error', this.#onError)
      this.cluster?.off('node error', this.#onError)
      return
    }
    clearTimeout(this.#revival)
    this.client.off('end', this.#revive)
    this.client.disconnect()
  }

  /**
   * The client retries for ever but for one case: sentinels that announce another master while it is
   * asking them for one make it give up for good. So it is told to begin again.
   */
  readonly #revive = (): void => {
    this.#revival = setTimeout(
      () => {
        // What goes wrong is emitted as well, and followed by another end or retry.
        this.client.connect().catch(() => undefined)
      },
      reconnectDelayMs(++this.#revivals),
    ).unref()
  }

  readonly #revived = (): void => {
    this.#revivals = 0
  }
}

/** Whether Redis said that it is a replica, so that the master must be looked for again. */
export function isReplicaReply({ message }: Error): boolean {
  // Before version 7, a script's own error stands in the middle.
  return message.includes('READONLY') || message.includes('with replica instances')
}

function isClusterClient(client: RedisClient): client is Cluster {
  return client.isCluster
}

function destroySocket(client: Redis): void {
  const { stream } = client as unknown as { readonly stream?: Socket }
  // A reset, not an orderly end: what Redis has not read yet must not be carried out later.
  stream?.resetAndDestroy()
}

function createClient(
  target: string | StandaloneRedisOptions | SentinelRedisOptions | ClusterRedisOptions,
): RedisClient {
  const ioredis = loadIoredis()
  if (typeof target === 'string') return new ioredis.Redis(target, redisDefaults())
  const credentials: Credentials = {}
  if (target.username !== undefined) credentials.username = target.username
  if (target.password !== undefined) credentials.password = target.password
  if (target.tls !== undefined && target.tls !== false) {
    credentials.tls = target.tls === true ? {} : target.tls
  }
  if (target.mode === 'cluster') {
    const options = clusterDefaults()
    const redisOptions = { ...options.redisOptions, ...credentials }
    const natMap = target.natMap === undefined ? {} : { natMap: { ...target.natMap } }
    return new ioredis.Cluster(clusterNodes(target.nodes), { ...options, ...natMap, redisOptions })
  }
  const options = { ...redisDefaults(), ...credentials, db: target.db ?? 0 }
  if (target.mode === 'standalone') {
    if (target.url !== undefined)
      return new ioredis.Redis(target.url, { ...redisDefaults(), ...credentials })
    return new ioredis.Redis({
      ...options,
      host: target.host ?? '127.0.0.1',
      port: target.port ?? 6379,
    })
  }
  return new ioredis.Redis({
    ...options,
    ...(target.sentinelUsername === undefined ? {} : { sentinelUsername: target.sentinelUsername }),
    ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
    ...(target.natMap === undefined ? {} : { natMap: { ...target.natMap } }),
    // Without these two, the client would speak in the clear to both, whatever `tls` says.
    ...(credentials.tls === undefined
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: credentials.tls }),
    sentinels: [...target.sentinels],
    name: target.name,
    failoverDetector: true,
    sentinelRetryStrategy: reconnectDelayMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
  })
}

interface Credentials {
  username?: string
  password?: string
  tls?: Readonly<Record<string, unknown>>
}

/** The client library is a peer that only a cache with Redis needs. */
function loadIoredis(): typeof Ioredis {
  return createRequire(import.meta.url)('ioredis') as typeof Ioredis
}

function redisDefaults() {
  return {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // A command that lost its connection fails at once: sent again, it could arrive after younger ones.
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: isReplicaReply,
    connectionName: 'dharma-cache',
  }
}

function clusterDefaults() {
  return {
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    clusterNodeRetryStrategy: reconnectDelayMs,
    slotsRefreshInterval: 5_000,
    redisOptions: {
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      connectionName: 'dharma-cache',
    },
  }
}

/** Doubles from 25 ms to 500 ms, half of it random, so that a fleet does not reconnect in step. */
function reconnectDelayMs(attempt: number): number {
  const ceiling = Math.min(MAX_RECONNECT_DELAY_MS, 25 * 2 ** Math.min(attempt, 6))
  return ceiling / 2 + Math.random() * (ceiling / 2)
}
