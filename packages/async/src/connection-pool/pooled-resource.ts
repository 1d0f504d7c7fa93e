import type { Lease } from './lease.ts'

/** `checking` is being validated or reset; `gone` is out of the pool, its end under way or over. */
export type ResourceState = 'idle' | 'leased' | 'checking' | 'gone'

/** Carries a borrower's stack, which is formatted only when read. */
export interface StackHolder {
  readonly stack?: string
}

/** A resource and what the pool knows of it. */
export class PooledResource<T> {
  readonly resource: T
  readonly createdAtMs: number
  readonly expiresAtMs: number
  state: ResourceState = 'checking'
  /** When the present state of `idle` or `leased` began, on the coarse clock. */
  sinceMs: number
  /** The lease that may give it back; any other is over. */
  lease: Lease<T> | undefined = undefined
  stack: StackHolder | undefined = undefined
  isLeakReported = false

  constructor(resource: T, createdAtMs: number, expiresAtMs: number) {
    this.resource = resource
    this.createdAtMs = createdAtMs
    this.expiresAtMs = expiresAtMs
    this.sinceMs = createdAtMs
  }
}

/** The stack of the caller: about a microsecond now, the rest when it is read. */
export function captureStack(): StackHolder {
  const holder: StackHolder = {}
  Error.captureStackTrace(holder, captureStack)
  return holder
}
