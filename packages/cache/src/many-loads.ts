import type { EntryStore } from './entry-store.ts'
import type { EntryOptions, LoadContext, Loader } from './entry-options.ts'
import type { Fence, Fences } from './fences.ts'
import type { SharedRead, SharedTier } from './shared-tier.ts'

export interface ManyLoadsOptions {
  /** Undefined for a cache of one process. */
  readonly shared: SharedTier | undefined
  readonly isUsable: () => boolean
  readonly hasMemory: boolean
  readonly fences: Fences
  readonly store: EntryStore
  readonly onError: (error: unknown) => void
}

type LoadMany<Value> = (
  keys: readonly string[],
  context: Pick<LoadContext, 'signal'>,
) => Promise<ReadonlyMap<string, Value>>

/** Reads and loads of several keys at once. */
export class ManyLoads {
  readonly #options: ManyLoadsOptions

  constructor(options: ManyLoadsOptions) {
    this.#options = options
  }

  /** What Redis says of a key, kept in memory where it is a hit; undefined when it cannot be asked. */
  async readOne(key: string, isValid?: EntryOptions['isValid']): Promise<SharedRead | undefined> {
    const { shared, isUsable, hasMemory, fences, onError } = this.#options
    if (shared === undefined || !isUsable()) return undefined
    // Without a memory tier nothing is kept, so nothing needs a fence.
    const fence = hasMemory ? fences.open(key) : undefined
    try {
      return this.#keep(key, await shared.read(key), fence, isValid)
    } catch (error) {
      onError(error)
      return undefined
    } finally {
      if (fence !== undefined) fences.close(fence)
    }
  }

  /** As {@link readOne} for many keys in one command, in their order. */
  async readMany(keys: readonly string[]): Promise<readonly SharedRead[] | undefined> {
    const { shared, isUsable, hasMemory, fences, onError } = this.#options
    if (shared === undefined || !isUsable()) return undefined
    const open = hasMemory ? keys.map((key) => fences.open(key)) : []
    try {
      const reads = await shared.readMany(keys)
      for (let index = 0; index < open.length; index++) {
        this.#keep(keys[index] as string, reads[index] as SharedRead, open[index])
      }
      return reads
    } catch (error) {
      onError(error)
      return undefined
    } finally {
      for (const fence of open) fences.close(fence)
    }
  }

  /**
   * Loads many keys in one call of `loadMany`. Each key has a load of its own, so that it is shared,
   * leased and fenced like any other. Keys that another loads hold the call up no longer than Redis
   * takes to say so; those that come back to this process are loaded in a later call.
   */
  async load<Value>(
    keys: readonly string[],
    loadMany: LoadMany<Value>,
    loadOne: (key: string, loader: Loader<unknown>, onWait: () => void) => Promise<unknown>,
  ): Promise<Map<string, unknown>> {
    const batch = new LoadBatch(keys, loadMany)
    const values = await Promise.all(
      keys.map((key) => {
        const leave = (): void => batch.leave(key)
        const loading = loadOne(key, ({ signal }) => batch.add(key, signal), leave)
        return loading.finally(leave)
      }),
    )
    return new Map(keys.map((key, index) => [key, values[index]]))
  }

  #keep(
    key: string,
    read: SharedRead,
    fence: Fence | undefined,
    isValid?: EntryOptions['isValid'],
  ): SharedRead {
    if (read.kind === 'miss') return read
    if (isValid?.(read.value) === false) return { kind: 'miss', bytes: read.bytes }
    if (fence !== undefined) this.#options.store.keepRead(key, read, fence)
    return read
  }
}

interface Wanted {
  readonly key: string
  readonly signal: AbortSignal
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Collects the keys whose loaders are called, until it is known of each key whether it is loaded here. */
class LoadBatch<Value> {
  readonly #loadMany: LoadMany<Value>
  readonly #undecided: Set<string>
  #wanted: Wanted[] = []

  constructor(keys: readonly string[], loadMany: LoadMany<Value>) {
    this.#undecided = new Set(keys)
    this.#loadMany = loadMany
  }

  /** The key's value, from the call that loads it. */
  add(key: string, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ key, signal, resolve, reject })
      if (this.#undecided.delete(key)) this.#runWhenDecided()
      // Others that were waited for may come back in the same moment.
      else setImmediate(() => this.#runWhenDecided())
    })
  }

  /** The key is answered, or another loads it. */
  leave(key: string): void {
    if (this.#undecided.delete(key)) this.#runWhenDecided()
  }

  #runWhenDecided(): void {
    if (this.#undecided.size === 0) void this.#run()
  }

  async #run(): Promise<void> {
    const wanted = this.#wanted
    const [first] = wanted
    if (first === undefined) return
    this.#wanted = []
    try {
      const signal = AbortSignal.any(wanted.map((one) => one.signal))
      const values = await this.#loadMany(
        wanted.map(({ key }) => key),
        { signal },
      )
      for (const { key, resolve } of wanted) resolve(values.get(key))
    } catch (error) {
      for (const { reject } of wanted) reject(error)
    }
  }
}
