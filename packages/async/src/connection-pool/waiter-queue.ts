import type { Expiring } from './deadline-queue.ts'
import type { Lease } from './lease.ts'
import type { StackHolder } from './pooled-resource.ts'

/**
 * What settles the promise made last. One executor for all: a closure for each would be a fifth of
 * what waiting costs.
 */
const settlers = {
  resolve: unset as (value: never) => void,
  reject: unset as (reason: Error) => void,
}

function keepSettlers(resolve: (value: never) => void, reject: (reason: Error) => void): void {
  settlers.resolve = resolve
  settlers.reject = reject
}

function unset(): void {}

/** A caller without a lease yet: a link of the {@link WaiterQueue}. */
export class Waiter<T> implements Expiring {
  readonly promise: Promise<Lease<T>>
  readonly resolve: (lease: Lease<T>) => void
  readonly reject: (reason: Error) => void
  readonly onExpire: (waiter: Waiter<T>) => void
  readonly timeoutMs: number
  /** Waits that the measured length of this one stands for; 0 if it is not measured. */
  readonly weight: number
  readonly stack: StackHolder | undefined
  /** When it came, or was first seen at a tick; a number that is never set costs nothing. */
  enteredMs: number | undefined = undefined
  /** Stops following the signal that came with the caller. */
  unfollow: (() => void) | undefined = undefined
  /** Whether its deadline is in the {@link DeadlineQueue}. */
  isRegistered = false
  isSettled = false
  previous: Waiter<T> | undefined = undefined
  next: Waiter<T> | undefined = undefined

  constructor(
    onExpire: (waiter: Waiter<T>) => void,
    timeoutMs: number,
    weight: number,
    stack: StackHolder | undefined,
  ) {
    this.promise = new Promise(keepSettlers)
    this.resolve = settlers.resolve as (lease: Lease<T>) => void
    this.reject = settlers.reject
    this.onExpire = onExpire
    this.timeoutMs = timeoutMs
    this.weight = weight
    this.stack = stack
  }

  get deadlineMs(): number {
    return (this.enteredMs ?? Infinity) + this.timeoutMs
  }

  expire(): void {
    this.onExpire(this)
  }
}

/** First come, first served; anyone leaves in O(1). */
export class WaiterQueue<T> {
  #first: Waiter<T> | undefined
  #last: Waiter<T> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): Waiter<T> | undefined {
    return this.#first
  }

  push(waiter: Waiter<T>): void {
    const last = this.#last
    waiter.previous = last
    if (last === undefined) this.#first = waiter
    else last.next = waiter
    this.#last = waiter
    this.#length += 1
  }

  /** The waiter must be in this queue. */
  remove(waiter: Waiter<T>): void {
    const { previous, next } = waiter
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    waiter.previous = undefined
    waiter.next = undefined
    this.#length -= 1
  }
}
