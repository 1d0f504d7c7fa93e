import type { SignalBus } from '../signal-bus.ts'

/** {@link SignalBus} of one process. Listeners are called in a microtask, never by the publisher. */
export class MemorySignals implements SignalBus {
  readonly #listeners = new Map<string, Set<(text: string) => void>>()

  async publish(topic: string, text: string): Promise<void> {
    for (const listener of this.#listeners.get(topic) ?? []) queueMicrotask(() => listener(text))
  }

  async subscribe(topic: string, listener: (text: string) => void): Promise<Disposable> {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners)
    // Wrapped, so that one function that listens twice is two listeners.
    const own = (text: string): void => listener(text)
    listeners.add(own)
    return {
      [Symbol.dispose]: () => {
        listeners.delete(own)
        if (listeners.size === 0) this.#listeners.delete(topic)
      },
    }
  }
}
