import { randomUUID } from 'node:crypto'
import type { Clock, Timer } from '@dharma/core'
import type { Codec } from './codec.ts'
import type { LifeFacts } from './entry-life.ts'
import type { EntryStore } from './entry-store.ts'
import { RemoteLoadError } from './errors.ts'
import type { Flight } from './flight.ts'
import { areTagsCurrent, type TagRecord } from './invalidation-view.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import { UNKNOWN } from './invalidation/tag-table.ts'
import type { KeyWaiters } from './key-waiters.ts'
import type { LoadRequest } from './loads.ts'
import type { EntryFormat } from './redis/entry-format.ts'
import type { KeyLayout } from './redis/key-layout.ts'
import type { RemoteFailure } from './redis/leases.ts'
import { identityOf, type SharedRead, type SharedTier } from './shared-tier.ts'

/** The right to load one key, held in Redis. */
export interface LoadRight {
  readonly token: string
  /** The last invalidation before the loader runs. */
  readonly version: number
  /** Redis' time when it was granted, and this process' then. */
  readonly serverMs: number
  readonly grantedMs: number
}

/** What came of looking for a value, or for the right to make it. */
export type FindOrClaim =
  | { readonly kind: 'found'; readonly value: unknown; readonly needsRefresh: boolean }
  /** Load it. Without a right, Redis cannot be reached or another has loaded for too long. */
  | { readonly kind: 'claimed'; readonly right: LoadRight | undefined }

export interface LeasedLoadsOptions {
  readonly clock: Clock
  readonly state: InvalidationState
  readonly shared: SharedTier
  readonly layout: KeyLayout
  readonly format: EntryFormat
  readonly waiters: KeyWaiters
  readonly leaseMs: number
  /** How long one process waits for another's load before it loads itself. */
  readonly leaseWaitMs: number
  readonly isUsable: () => boolean
  readonly store: () => EntryStore
  readonly onRead: (read: SharedRead) => void
  readonly onError: (error: unknown) => void
}

export interface FillRequest {
  readonly value: unknown
  readonly facts: LifeFacts
  readonly isNegative: boolean
  readonly tags: readonly TagRecord[]
  readonly codec: Codec | undefined
}

const FIRST_POLL_MS = 20
const MAX_POLL_MS = 200
const NOTHING = Buffer.alloc(0)

/** Loads that all processes share: one has the lease, the others wait for what it makes. */
export class LeasedLoads {
  readonly #options: LeasedLoadsOptions

  constructor(options: LeasedLoadsOptions) {
    this.#options = options
  }

  /** Looks in Redis, then asks for the lease or waits for the one who has it. */
  async findOrClaim(flight: Flight, request: LoadRequest, isBehind: boolean): Promise<FindOrClaim> {
    const { isUsable } = this.#options
    if (!isUsable()) return { kind: 'claimed', right: undefined }
    try {
      return await this.#findOrClaim(flight, request, isBehind)
    } catch (error) {
      if (error instanceof RemoteLoadError || flight.abort.signal.aborted) throw error
      this.#options.onError(error)
      return { kind: 'claimed', right: undefined }
    }
  }

  /** Renews the lease while the loader runs. */
  keepLease(flight: Flight, right: LoadRight): Timer {
    const { clock, shared, leaseMs, onError } = this.#options
    const timer = clock.setInterval(
      () => {
        shared.leases
          .renew(flight.key, right.token)
          .then((isOurs) => isOurs || timer.cancel())
          .catch(onError)
      },
      Math.max(1, Math.floor(leaseMs / 3)),
      { keepsAlive: false },
    )
    return timer
  }

  /** Gives the lease back, with the failure for those who wait; nobody waits for this. */
  giveUp(flight: Flight, right: LoadRight, error?: Error): void {
    const { shared, isUsable, onError } = this.#options
    if (!isUsable()) return
    const failure = error === undefined ? undefined : describe(error)
    shared.leases.release(flight.key, right.token, failure).catch(onError)
  }

  /** Stores what was loaded. `refused`: an invalidation, or another's load, came first. */
  async fill(
    flight: Flight,
    right: LoadRight,
    { value, facts, isNegative, tags, codec }: FillRequest,
  ): Promise<'stored' | 'refused' | 'unreachable'> {
    const { format, layout, shared, clock, onError } = this.#options
    const names = tags.map(({ name }) => name)
    const entry = format.encode(
      layout.entry(flight.key),
      value,
      { ...facts, isNegative, tags: names },
      codec,
    )
    const createdMs = right.serverMs + (clock.monotonicMs() - right.grantedMs)
    const lifeMs = facts.ttlMs + Math.max(facts.staleMs, facts.graceMs)
    try {
      const isStored = await shared.leases.fill(
        flight.key,
        right.token,
        entry,
        right.version,
        createdMs,
        lifeMs,
      )
      return isStored ? 'stored' : 'refused'
    } catch (error) {
      onError(error)
      return 'unreachable'
    }
  }

  /**
   * Versions of tags that the loader named. One that Redis has not is taken as never invalidated
   * only if nothing at all was invalidated since the load began.
   */
  async resolveLateTags(flight: Flight, tags: readonly TagRecord[]): Promise<void> {
    const { shared, isUsable, onError } = this.#options
    if (!isUsable() || tags.every(({ version }) => version !== UNKNOWN)) return
    await shared.ensureLateTags(tags, flight.startVersion).catch(onError)
  }

  async #findOrClaim(
    flight: Flight,
    request: LoadRequest,
    isBehind: boolean,
  ): Promise<FindOrClaim> {
    const { shared, state, clock, leaseWaitMs, isUsable } = this.#options
    const { key, options } = request
    const token = randomUUID()
    const untilMs = clock.monotonicMs() + leaseWaitMs
    let seen: Buffer = NOTHING
    if (options?.refresh !== true) {
      const read = await shared.read(key)
      this.#options.onRead(read)
      const found = this.#use(flight, request, read, isBehind)
      if (found !== undefined) return found
      seen = identityOf(read)
    } else {
      seen = identityOf(await shared.read(key))
    }
    await shared.ensureTags(flight.tags)
    while (isUsable()) {
      const grantedMs = clock.monotonicMs()
      const reply = await shared.leases.acquire(key, token, seen, state.version)
      switch (reply.kind) {
        case 'granted': {
          const { version: ownVersion, serverMs } = reply
          if (ownVersion > 0) state.sawVersion(ownVersion)
          const version = ownVersion > 0 ? ownVersion : state.version
          return { kind: 'claimed', right: { token, version, serverMs, grantedMs } }
        }
        case 'entry': {
          const read = await shared.examine(key, reply.bytes, grantedMs)
          const found = this.#use(flight, request, read, isBehind)
          if (found !== undefined) return found
          seen = identityOf(read)
          break
        }
        case 'held': {
          if (isBehind && flight.stale !== undefined) {
            return { kind: 'found', value: flight.stale.value, needsRefresh: false }
          }
          request.onWait?.()
          const found = await this.#wait(flight, request, reply.holder, reply.leaseMs, untilMs)
          if (found !== undefined) return found
          if (clock.monotonicMs() >= untilMs) return { kind: 'claimed', right: undefined }
          break
        }
      }
    }
    return { kind: 'claimed', right: undefined }
  }

  /** Waits for the holder's entry or failure; undefined when the lease may be free now. */
  async #wait(
    flight: Flight,
    request: LoadRequest,
    holder: string,
    leaseMs: number,
    untilMs: number,
  ): Promise<FindOrClaim | undefined> {
    const { clock, waiters, shared } = this.#options
    const endMs = Math.min(untilMs, clock.monotonicMs() + leaseMs + 1)
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(MAX_POLL_MS, pollMs * 2)) {
      const leftMs = endMs - clock.monotonicMs()
      if (leftMs <= 0) return undefined
      await waiters.wait(flight.key, Math.min(pollMs, leftMs), flight.abort.signal)
      flight.abort.signal.throwIfAborted()
      const { read, failure, isHeld } = await shared.readAwaited(flight.key)
      const found = this.#use(flight, request, read, false)
      if (found !== undefined) return found
      if (failure?.holder === holder) throw remoteError(failure)
      if (!isHeld) return undefined
    }
  }

  /** Takes what was read, if it may be served; remembers it as the older value if not. */
  #use(
    flight: Flight,
    { entry }: LoadRequest,
    read: SharedRead,
    isBehind: boolean,
  ): FindOrClaim | undefined {
    if (
      read.kind === 'miss' ||
      flight.fence.isBroken ||
      !areTagsCurrent(flight.tags, flight.startEpoch)
    ) {
      return undefined
    }
    if (entry.isValid?.(read.value) === false) return undefined
    const { ttlMs, staleMs } = read.header
    const isFresh = read.ageMs < ttlMs
    if (!isFresh) flight.stale = { value: read.value, isServable: read.ageMs < ttlMs + staleMs }
    if (isFresh || (read.ageMs < ttlMs + staleMs && !isBehind)) {
      this.#options.store().keepRead(flight.key, read, flight.fence)
      return { kind: 'found', value: read.value, needsRefresh: !isFresh }
    }
    return undefined
  }
}

function describe(error: Error): Omit<RemoteFailure, 'holder'> {
  const { code } = error as { readonly code?: unknown }
  return {
    name: error.name,
    message: error.message,
    code: typeof code === 'string' ? code : undefined,
  }
}

function remoteError({ name, message, code }: RemoteFailure): RemoteLoadError {
  return new RemoteLoadError(name, message, code)
}
