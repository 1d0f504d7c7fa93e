import type { Redis } from 'ioredis'
import type { SignalBus } from '../task-queue/index.ts'

/** {@link SignalBus} over Redis's publish and subscribe, on one connection, opened by the first listener. */
export class RedisSignals implements SignalBus {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #onError: (error: Error) => void
  readonly #listeners = new Map<string, Set<(text: string) => void>>()
  #subscriber: Redis | undefined

  constructor(redis: Redis, prefix: string, onError: (error: Error) => void) {
    this.#redis = redis
    this.#prefix = `${prefix}:dharma:signal:`
    this.#onError = onError
  }

  async publish(topic: string, text: string): Promise<void> {
    await this.#redis.publish(this.#prefix + topic, text)
  }

  async subscribe(topic: string, listener: (text: string) => void): Promise<Disposable> {
    const channel = this.#prefix + topic
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners)
    const own = (text: string): void => listener(text)
    listeners.add(own)
    const subscriber = this.#open()
    // Awaited even if the channel is known: its first subscription may be on its way.
    await subscriber.subscribe(channel)
    return {
      [Symbol.dispose]: () => {
        listeners.delete(own)
        if (listeners.size > 0) return
        this.#listeners.delete(channel)
        // Not the last word when a new listener comes meanwhile: then it subscribes again after this.
        subscriber.unsubscribe(channel).catch(ignoreClosing)
      },
    }
  }

  close(): void {
    this.#subscriber?.disconnect()
  }

  #open(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    const subscriber = this.#redis.duplicate({ maxRetriesPerRequest: null })
    subscriber.on('error', this.#onError)
    subscriber.on('message', (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(text)
    })
    this.#subscriber = subscriber
    return subscriber
  }
}

/** The connection was closed, and with it the subscription. */
function ignoreClosing(): void {}
