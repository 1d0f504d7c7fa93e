import { joinEntry, type EncodedEntry } from './entry-format.ts'
import type { KeyLayout } from './key-layout.ts'
import type { RedisRunner } from './redis-runner.ts'

/** What came of asking for the right to load a key. */
export type LeaseReply =
  /** It is ours. `version`: the last invalidation, 0 where not known (cluster). */
  | { readonly kind: 'granted'; readonly version: number; readonly serverMs: number }
  /** Another has it, for `leaseMs` more at most unless renewed. */
  | { readonly kind: 'held'; readonly holder: string; readonly leaseMs: number }
  /** An entry that was not there before. */
  | { readonly kind: 'entry'; readonly bytes: Buffer }

/** A failed load as the lease's holder left it for those who wait. */
export interface RemoteFailure {
  readonly holder: string
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
}

export interface LeasesOptions {
  readonly runner: RedisRunner
  readonly layout: KeyLayout
  readonly leaseMs: number
  readonly maxLogLength: number
}

/** How long a failure stands for those who waited for the load. */
const FAILURE_STANDS_MS = 2_000

/** Rights to load, one a key over all processes, and the stores that they fence. */
export class Leases {
  readonly #runner: RedisRunner
  readonly #layout: KeyLayout
  readonly #leaseMs: number
  readonly #maxLogLength: number

  constructor({ runner, layout, leaseMs, maxLogLength }: LeasesOptions) {
    this.#runner = runner
    this.#layout = layout
    this.#leaseMs = leaseMs
    this.#maxLogLength = maxLogLength
  }

  /** @param seen The first bytes of the entry that was found unusable; empty if there was none. */
  async acquire(
    key: string,
    token: string,
    seen: Uint8Array,
    versionHint: number,
  ): Promise<LeaseReply> {
    const keys = [this.#layout.entry(key), this.#layout.lease(key)]
    if (!this.#runner.link.isCluster) keys.push(this.#layout.version, this.#layout.patterns)
    const reply = await this.#runner.script('dharmaAcquire', keys, [
      token,
      this.#leaseMs,
      seen,
      versionHint,
    ])
    const [kind, first, second] = reply as [number, Buffer, Buffer | number]
    switch (kind) {
      case 0: {
        return { kind: 'held', holder: first.toString(), leaseMs: Math.max(0, Number(second)) }
      }
      case 1: {
        return {
          kind: 'granted',
          version: Number(first.toString() || 0),
          serverMs: Number(String(second)),
        }
      }
      default: {
        return { kind: 'entry', bytes: first }
      }
    }
  }

  /** Stores while the lease is still ours. False: it was invalidated or taken over, nothing was stored. */
  async fill(
    key: string,
    token: string,
    entry: EncodedEntry,
    version: number,
    createdMs: number,
    lifeMs: number,
  ): Promise<boolean> {
    const keys = [this.#layout.entry(key), this.#layout.lease(key)]
    if (!this.#runner.link.isCluster) keys.push(this.#layout.log)
    const reply = await this.#runner.script('dharmaFill', keys, [
      token,
      Math.max(1, Math.ceil(lifeMs)),
      joinEntry(entry, version, createdMs),
      this.#maxLogLength,
      key,
    ])
    if (reply === 2) await this.#notify(key)
    return reply !== 0
  }

  /** Gives the lease back without an entry, with the failure for those who wait. */
  async release(
    key: string,
    token: string,
    failure?: Omit<RemoteFailure, 'holder'>,
  ): Promise<void> {
    const keys = [this.#layout.lease(key)]
    if (!this.#runner.link.isCluster) keys.push(this.#layout.log)
    const reply = await this.#runner.script('dharmaRelease', keys, [
      token,
      failure === undefined ? '' : JSON.stringify(failure),
      FAILURE_STANDS_MS,
      this.#maxLogLength,
      key,
    ])
    if (reply === 2) await this.#notify(key)
  }

  /** False: it is not ours any more. */
  async renew(key: string, token: string): Promise<boolean> {
    return (
      (await this.#runner.script(
        'dharmaRenew',
        [this.#layout.lease(key)],
        [token, this.#leaseMs],
      )) === 1
    )
  }

  /** Wakes those who wait for the key, in a cluster, where the fill cannot reach the log itself. */
  async #notify(key: string): Promise<void> {
    const { client } = this.#runner.link
    await this.#runner.run(() =>
      client.xadd(this.#layout.log, 'MAXLEN', '~', this.#maxLogLength, '*', 'f', key),
    )
  }
}

/** What a lease's value says of a failed load; undefined when it is a lease. */
export function parseFailure(lease: Buffer | null): RemoteFailure | undefined {
  if (lease === null || lease[0] !== 0x45 /* E */) return undefined
  const text = lease.toString('utf8', 1)
  const colon = text.indexOf(':')
  const failure = JSON.parse(text.slice(colon + 1)) as Omit<RemoteFailure, 'holder'>
  return { holder: text.slice(0, colon), ...failure }
}
