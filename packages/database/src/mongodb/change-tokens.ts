import type { Collection } from 'mongodb'

/** Where a feed notes how far it has come, so that it goes on from there after a crash. */
export interface ChangeTokenStore {
  /** The token stored last under a name; `undefined` if there is none. */
  load(name: string): Promise<unknown>
  save(name: string, token: unknown): Promise<void>
}

/** Tokens that last as long as the process: for feeds that may miss what happens while it is down. */
export class MemoryChangeTokens implements ChangeTokenStore {
  readonly #tokens = new Map<string, unknown>()

  async load(name: string): Promise<unknown> {
    return this.#tokens.get(name)
  }

  async save(name: string, token: unknown): Promise<void> {
    this.#tokens.set(name, token)
  }
}

interface StoredToken {
  readonly _id: string
  readonly token: unknown
  readonly at: Date
}

/** Tokens in a collection of the database, one document for each feed. */
export class CollectionChangeTokens implements ChangeTokenStore {
  readonly #collection: () => Collection<StoredToken>

  /** @param manager the one that the collection is reached through */
  constructor(
    manager: { collection<T extends StoredToken>(name: string): Collection<T> },
    collection = 'dharma_change_tokens',
  ) {
    this.#collection = () => manager.collection<StoredToken>(collection)
  }

  async load(name: string): Promise<unknown> {
    const stored = await this.#collection().findOne({ _id: name })
    return stored?.token
  }

  async save(name: string, token: unknown): Promise<void> {
    const change = { $set: { token, at: new Date() } }
    await this.#collection().updateOne({ _id: name }, change, { upsert: true })
  }
}
