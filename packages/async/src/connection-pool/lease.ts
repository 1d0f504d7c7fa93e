import { LeaseEndedError } from './pool-errors.ts'
import type { PooledResource } from './pooled-resource.ts'

/** What a lease tells its pool. */
export interface LeaseOwner<T> {
  readonly name: string
  takeBack(entry: PooledResource<T>): void
  discard(entry: PooledResource<T>, cause: unknown): void
}

/**
 * The right to use one resource, for one borrower, until its first `release` or `destroy`. With
 * `using lease = await pool.acquire()` the end of the block releases it.
 */
export class Lease<T> {
  readonly #owner: LeaseOwner<T>
  readonly #entry: PooledResource<T>

  /** Made by the pool only. */
  constructor(owner: LeaseOwner<T>, entry: PooledResource<T>) {
    this.#owner = owner
    this.#entry = entry
    entry.lease = this
  }

  /** @throws LeaseEndedError after the end of the lease. */
  get resource(): T {
    const entry = this.#entry
    if (entry.lease !== this) throw new LeaseEndedError(this.#owner.name, 'resource was read')
    return entry.resource
  }

  /** Whether the lease was released or destroyed. */
  get isEnded(): boolean {
    return this.#entry.lease !== this
  }

  /**
   * Gives the resource back; the first in the queue has it next. A `reset` runs behind the scenes.
   * @throws LeaseEndedError if the lease has ended.
   */
  release(): void {
    const entry = this.#entry
    if (entry.lease !== this) throw new LeaseEndedError(this.#owner.name, 'release was called')
    entry.lease = undefined
    this.#owner.takeBack(entry)
  }

  /**
   * Gives the resource back as unusable: the pool destroys and, when needed, replaces it.
   * @throws LeaseEndedError if the lease has ended.
   */
  destroy(cause?: unknown): void {
    const entry = this.#entry
    if (entry.lease !== this) throw new LeaseEndedError(this.#owner.name, 'destroy was called')
    entry.lease = undefined
    this.#owner.discard(entry, cause)
  }

  /** Releases unless that was done already. */
  [Symbol.dispose](): void {
    if (this.#entry.lease === this) this.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]()
  }
}
