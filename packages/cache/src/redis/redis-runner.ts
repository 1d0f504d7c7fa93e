import type { Clock } from '@dharma/core'
import type { Redis } from 'ioredis'
import { RedisUnavailableError } from '../errors.ts'
import { Breaker } from './breaker.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { keySlot } from './key-slot.ts'
import { isReplicaReply, type RedisLink } from './redis-link.ts'
import { SCRIPTS, type ScriptName } from './scripts.ts'

export interface RedisRunnerOptions {
  readonly link: RedisLink
  readonly clock: Clock
  /** Limit of every command. */
  readonly timeoutMs: number
  readonly onBreaker: (isOpen: boolean) => void
  /**
   * Asked before a connection that was lost is used again: it may lead to another server. What it
   * rejects with counts as no answer. @default PING
   */
  readonly verify?: () => Promise<unknown>
}

/** What a script is given besides its keys. */
export type ScriptArgument = string | number | Uint8Array
type RunScript = (keyCount: number, ...parameters: ScriptArgument[]) => Promise<unknown>

const PROBE_EVERY_MS = 100
/** Probes without an answer after which the connection itself is given up. */
const MAX_SILENT_PROBES = 8

/** Sends commands under one deadline and one breaker, and gives up connections that stay silent. */
export class RedisRunner {
  readonly link: RedisLink
  readonly #deadline: DeadlineQueue
  readonly #breaker: Breaker
  readonly #verify: () => Promise<unknown>
  #silentProbes = 0

  constructor({ link, clock, timeoutMs, onBreaker, verify }: RedisRunnerOptions) {
    this.link = link
    this.#verify = verify ?? (() => link.client.ping())
    this.#deadline = new DeadlineQueue(clock, timeoutMs, 'Redis')
    this.#breaker = new Breaker({
      clock,
      probe: () => this.#probe(),
      // One silent node must not stop a cluster's others.
      maxFailures: link.isCluster ? 20 : 2,
      probeEveryMs: PROBE_EVERY_MS,
      onChange: onBreaker,
    })
    for (const [name, lua] of Object.entries(SCRIPTS)) link.client.defineCommand(name, { lua })
    link.client.on('close', () => this.#breaker.open())
  }

  /** Whether a command sent now has a chance. */
  get isUsable(): boolean {
    return !this.#breaker.isOpen && this.link.isReady
  }

  /** @throws RedisUnavailableError when there is no connection, no answer in time, or Redis is loading. */
  readonly run = async <Reply>(send: () => Promise<Reply>): Promise<Reply> => {
    if (!this.isUsable) throw new RedisUnavailableError()
    try {
      const reply = await this.#deadline.limit(send())
      this.#breaker.succeeded()
      return reply
    } catch (error) {
      if (isServerReply(error)) throw error
      this.#breaker.failed()
      throw new RedisUnavailableError({ cause: error })
    }
  }

  script(
    name: ScriptName,
    keys: readonly string[],
    parameters: readonly ScriptArgument[],
  ): Promise<unknown> {
    const commands = this.link.client as unknown as Record<string, RunScript>
    return this.run(() =>
      (commands[`${name}Buffer`] as RunScript).call(commands, keys.length, ...keys, ...parameters),
    )
  }

  /**
   * Resolves once that many replicas have all that this connection wrote before.
   * @throws RedisUnavailableError when fewer had it in time.
   */
  async waitForReplicas(
    names: readonly string[],
    replicas: number,
    timeoutMs: number,
  ): Promise<void> {
    for (const node of this.#nodesOf(names)) {
      const acknowledged = await this.run(() => node.wait(replicas, Math.max(1, timeoutMs - 10)))
      if (acknowledged < replicas) {
        throw new RedisUnavailableError({
          cause: new RangeError(`${acknowledged} of ${replicas} replicas acknowledged the write`),
        })
      }
    }
  }

  close(): void {
    this.#breaker.close()
    this.#deadline.close()
    this.link.close()
  }

  #nodesOf(names: readonly string[]): Iterable<Redis> {
    const { cluster, client } = this.link
    if (cluster === undefined) return [client as Redis]
    const masters = cluster.nodes('master')
    return new Set(
      names.flatMap((name) => {
        const address = cluster.slots[keySlot(name)]?.[0]
        return masters.filter(({ options }) => `${options.host}:${options.port}` === address)
      }),
    )
  }

  async #probe(): Promise<void> {
    if (!this.link.isReady) {
      // A server that accepts connections and says nothing holds the handshake up for ever.
      if (++this.#silentProbes % MAX_SILENT_PROBES === 0 && isShakingHands(this.link))
        this.link.reset()
      throw new RedisUnavailableError()
    }
    try {
      await this.#deadline.limit(this.#verify())
      this.#silentProbes = 0
    } catch (error) {
      if (++this.#silentProbes % MAX_SILENT_PROBES === 0) this.link.reset()
      throw error
    }
  }
}

function isShakingHands(link: RedisLink): boolean {
  return link.client.status === 'connect' || link.client.status === 'connecting'
}

/** An error that Redis itself answered: it is there, and the command was wrong or not allowed. */
function isServerReply(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'ReplyError' || isReplicaReply(error))
    return false
  return !/^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)/.test(error.message)
}
