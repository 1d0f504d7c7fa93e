import type { DestroyReason } from './resource-factory.ts'

/** What a pool tells by {@link ConnectionPool.on}, by name. */
export interface PoolEventMap<T> {
  readonly created: { readonly resource: T; readonly tookMs: number }
  readonly destroyed: {
    readonly resource: T
    readonly reason: DestroyReason
    readonly ageMs: number
    /** What made it unusable, where known. */
    readonly cause?: unknown
  }
  /** A lease has lasted longer than `leakAfterMs`. Told once a lease. */
  readonly leak: { readonly resource: T; readonly heldMs: number; readonly stack: string }
  /** The factory failed at something; what the pool does about it goes on. */
  readonly error: {
    readonly operation: 'create' | 'validate' | 'reset' | 'destroy'
    readonly error: Error
  }
}

/** The name of an event of a pool. */
export type PoolEventName = keyof PoolEventMap<unknown>

/** Listeners by event. One that throws is reported as a process warning and disturbs nobody. */
export class PoolEvents<T> {
  readonly #listeners = new Map<PoolEventName, Set<(event: unknown) => void>>()

  on<Name extends PoolEventName>(
    name: Name,
    listener: (event: PoolEventMap<T>[Name]) => void,
  ): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    // A wrapper, so that one function subscribed twice is two subscriptions.
    const subscription = (event: unknown): void => listener(event as PoolEventMap<T>[Name])
    listeners.add(subscription)
    return () => void listeners.delete(subscription)
  }

  emit<Name extends PoolEventName>(name: Name, event: PoolEventMap<T>[Name]): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined) return
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        process.emitWarning(`a listener of the pool event '${name}' threw: ${String(error)}`)
      }
    }
  }
}
