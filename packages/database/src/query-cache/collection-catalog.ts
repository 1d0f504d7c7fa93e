import type { Clock } from '@dharma/core'
import type { MongoManager } from '../mongodb/index.ts'
import { readsOfPipeline, type CollectionReads } from './collection-reads.ts'
import { Plans } from './plans.ts'

/** What a view reads; of a collection, nothing more than itself. */
interface CollectionFacts {
  readonly view: { readonly on: string; readonly pipeline: readonly unknown[] } | undefined
}

const MAX_COLLECTIONS = 10_000
const TIMEOUT_MS = 5_000

/** What the database says of its collections, believed for a time. */
export class CollectionCatalog {
  readonly #manager: MongoManager
  readonly #facts: Plans<CollectionFacts>

  constructor(manager: MongoManager, ttlMs: number, clock: Clock) {
    this.#manager = manager
    this.#facts = new Plans((name) => this.#ask(name), { ttlMs, clock, max: MAX_COLLECTIONS })
  }

  clear(): void {
    this.#facts.clear()
  }

  /** Who the database is, for keys. */
  async scope(): Promise<string> {
    const { database } = this.#manager
    const { setName, hosts } = await database.command({ hello: 1 })
    const members = Array.isArray(hosts) ? hosts.map(String).toSorted().join() : 'alone'
    return `${String(setName)}/${members}/${database.databaseName}`
  }

  /** All collections behind those named: views, those that they read, and so on. */
  async behind(names: readonly string[]): Promise<CollectionReads> {
    const collections = new Set(names)
    // A set takes in what is added while it is gone through.
    for (const name of collections) {
      if (name.startsWith('system.')) {
        return { kind: 'refused', reason: `${name} belongs to the server` }
      }
      const { view } = this.#facts.known(name) ?? (await this.#facts.get(name))
      if (view === undefined) continue
      const reads = readsOfPipeline(view.on, view.pipeline)
      if (reads.kind === 'refused') return reads
      for (const one of reads.collections) collections.add(one)
    }
    return { kind: 'reads', collections: [...collections] }
  }

  async #ask(name: string): Promise<CollectionFacts> {
    const options = { nameOnly: false, maxTimeMS: TIMEOUT_MS } as const
    const [found] = await this.#manager.database.listCollections({ name }, options).toArray()
    const facts = found?.type === 'view' ? found.options : undefined
    const on: unknown = facts?.['viewOn']
    const pipeline: unknown = facts?.['pipeline']
    if (typeof on !== 'string') return { view: undefined }
    return { view: { on, pipeline: Array.isArray(pipeline) ? pipeline : [] } }
  }
}
