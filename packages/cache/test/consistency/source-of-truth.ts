import { Redis } from 'ioredis'

/** Versions of all keys in a Redis of its own that no fault touches, so that their order is certain. */
export class SourceOfTruth implements AsyncDisposable {
  readonly #redis: Redis

  constructor(url: string) {
    this.#redis = new Redis(url)
  }

  /** Writes the key and returns its new version. */
  write(key: string): Promise<number> {
    return this.#redis.incr(key)
  }

  /** Version of a key, 0 where it was never written. */
  async read(key: string): Promise<number> {
    return Number((await this.#redis.get(key)) ?? 0)
  }

  async readMany(keys: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (keys.length === 0) return new Map()
    const found = await this.#redis.mget([...keys])
    return new Map(keys.map((key, index) => [key, Number(found[index] ?? 0)]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis.quit()
  }
}
