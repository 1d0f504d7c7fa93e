import type { Clock } from '@dharma/core'

/** Those of this process who wait for another process to load a key. */
export class KeyWaiters {
  readonly #clock: Clock
  readonly #byKey = new Map<string, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when something is heard of the key, or after `maxMs`, or when the signal aborts. */
  wait(key: string, maxMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', wake)
        const waiting = this.#byKey.get(key)
        if (waiting?.delete(wake) === true && waiting.size === 0) this.#byKey.delete(key)
        resolve()
      }
      const timer = this.#clock.setTimeout(wake, maxMs)
      signal.addEventListener('abort', wake, { once: true })
      const waiting = this.#byKey.get(key) ?? new Set()
      this.#byKey.set(key, waiting.add(wake))
    })
  }

  wake(key: string): void {
    const waiting = this.#byKey.get(key)
    if (waiting === undefined) return
    for (const wake of waiting) wake()
  }
}
