import type { ChangeFeed, ChangeTokenStore, MongoManager } from '../mongodb/index.ts'

export interface FollowOptions {
  /**
   * Where the place in the changes is kept, for results in a cache that outlives the process.
   * @default nowhere: it begins now
   */
  readonly tokens?: ChangeTokenStore
  /** The place's name among the tokens. @default the database's name */
  readonly name?: string
}

export interface ChangeFollowerOptions {
  /** Invalidates; neither it nor the other rejects. */
  readonly onChanged: (collections: Iterable<string>) => Promise<void>
  /** Something happened of which it is not known what it changed. */
  readonly onAnything: () => Promise<void>
  readonly onError: (error: unknown) => void
}

/** What is needed of a change: the stage must keep `_id`. */
const ONLY_NAMES = [{ $project: { operationType: 1, ns: 1, to: 1 } }]

/** Follows the changes of a database, many of one collection at the price of a few. */
export class ChangeFollower {
  readonly #manager: MongoManager
  readonly #options: ChangeFollowerOptions
  readonly #changed = new Set<string>()
  #starting: Promise<void> | undefined
  #feed: ChangeFeed | undefined
  #following: Promise<void> | undefined
  #telling: Promise<void> | undefined
  #isClosed = false
  /** Why changes are no longer followed, though they were to be. */
  failure: string | undefined

  constructor(manager: MongoManager, options: ChangeFollowerOptions) {
    this.#manager = manager
    this.#options = options
  }

  /** Resolves when every later change is seen. After a failure it may be called again. */
  async start(options: FollowOptions): Promise<void> {
    this.#starting ??= this.#start(options)
    await this.#starting.catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // Why it failed was told to the caller of `start`.
    await this.#starting?.catch(() => undefined)
    await this.#feed?.close()
    await this.#following
    await this.#telling
  }

  async #start({ tokens, name }: FollowOptions): Promise<void> {
    const feed = await this.#manager.watch(undefined, {
      pipeline: ONLY_NAMES,
      onGap: this.#options.onAnything,
      ...(tokens === undefined ? {} : { tokens }),
      ...(name === undefined ? {} : { name }),
    })
    this.#feed = feed
    // What changed since a failure was not seen.
    if (this.failure !== undefined) await this.#options.onAnything()
    this.failure = undefined
    this.#following = this.#follow(feed)
  }

  async #follow(feed: ChangeFeed): Promise<void> {
    try {
      for await (const change of feed) {
        const names = namesOf(change)
        if (names === undefined) await this.#options.onAnything()
        for (const name of names ?? []) this.#changed.add(name)
        this.#telling ??= this.#tell()
      }
    } catch (error) {
      if (this.#isClosed) return
      this.#starting = undefined
      this.failure = 'changes by others are followed no more'
      this.#options.onError(error)
      await this.#options.onAnything()
    }
  }

  /** Tells of all that changed while the last telling was under way at once. */
  async #tell(): Promise<void> {
    while (this.#changed.size > 0) {
      const changed = [...this.#changed]
      this.#changed.clear()
      await this.#options.onChanged(changed)
    }
    this.#telling = undefined
  }
}

/** Collections that a change is about; `undefined` where it is about all. */
function namesOf(change: object): string[] | undefined {
  const ns = 'ns' in change ? collectionOf(change.ns) : undefined
  if (ns === undefined) return undefined
  const to = 'to' in change ? collectionOf(change.to) : undefined
  return to === undefined ? [ns] : [ns, to]
}

function collectionOf(namespace: unknown): string | undefined {
  const isNamed = typeof namespace === 'object' && namespace !== null && 'coll' in namespace
  return isNamed && typeof namespace.coll === 'string' ? namespace.coll : undefined
}
