/** Those who wait for something to happen under a key. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Resolves when one of the keys is woken, or the signal aborts. */
  async wait(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    for (const key of keys) {
      const waiters = this.#waiting.get(key) ?? new Set()
      this.#waiting.set(key, waiters)
      waiters.add(wake)
    }
    signal.addEventListener('abort', wake, { once: true })
    await promise
    signal.removeEventListener('abort', wake)
    for (const key of keys) {
      const waiters = this.#waiting.get(key)
      waiters?.delete(wake)
      if (waiters?.size === 0) this.#waiting.delete(key)
    }
  }

  wake(key: string): void {
    for (const wake of this.#waiting.get(key) ?? []) wake()
  }

  wakeAll(): void {
    for (const key of this.#waiting.keys()) this.wake(key)
  }
}
