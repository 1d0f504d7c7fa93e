import type { EntryStore } from './entry-store.ts'
import type { EntryOptions, LoadContext, Loader } from './entry-options.ts'
import type { Fences } from './fences.ts'
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

  /** What Redis says of each key, kept in memory where it is a hit; empty when it cannot be asked. */
  async read(
    keys: readonly string[],
    isValid?: EntryOptions['isValid'],
  ): Promise<Map<string, SharedRead>> {
    const { shared, isUsable, hasMemory, fences, store, onError } = this.#options
    const reads = new Map<string, SharedRead>()
    if (shared === undefined || !isUsable()) return reads
    // Without a memory tier nothing is kept, so nothing needs a fence.
    const open = hasMemory ? keys.map((key) => fences.open(key)) : []
    try {
      const first = keys[0]
      const all =
        keys.length === 1 && first !== undefined
          ? [await shared.read(first)]
          : await shared.readMany(keys)
      for (const [index, key] of keys.entries()) {
        const read = all[index]
        const fence = open[index]
        if (read === undefined) continue
        const isUnderstood = read.kind === 'miss' || isValid?.(read.value) !== false
        reads.set(key, isUnderstood ? read : { kind: 'miss', bytes: read.bytes })
        if (fence !== undefined && read.kind === 'hit' && isUnderstood)
          store.keepRead(key, read, fence)
      }
    } catch (error) {
      onError(error)
      reads.clear()
    } finally {
      for (const fence of open) fences.close(fence)
    }
    return reads
  }

  /**
   * Loads many keys in one call of `loadMany`. Each key has a load of its own, so that it is shared,
   * leased and fenced like any other; those that get the right to load within the same moment are
   * loaded together.
   */
  async load<Value>(
    keys: readonly string[],
    loadMany: LoadMany<Value>,
    loadOne: (key: string, loader: Loader<unknown>) => Promise<unknown>,
  ): Promise<Map<string, unknown>> {
    const batch = new LoadBatch(keys.length, loadMany)
    const values = await Promise.all(
      keys.map((key) => {
        const loading = loadOne(key, ({ signal }) => batch.add(key, signal))
        return loading.finally(() => batch.settled(key))
      }),
    )
    return new Map(keys.map((key, index) => [key, values[index]]))
  }
}

interface Wanted {
  readonly key: string
  readonly signal: AbortSignal
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Collects the keys whose loaders were called, until every key has either called or is answered. */
class LoadBatch<Value> {
  readonly #loadMany: LoadMany<Value>
  #open: number
  #wanted: Wanted[] = []
  readonly #called = new Set<string>()

  constructor(keys: number, loadMany: LoadMany<Value>) {
    this.#open = keys
    this.#loadMany = loadMany
  }

  add(key: string, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#called.add(key)
      this.#wanted.push({ key, signal, resolve, reject })
      this.#open--
      // Keys whose lease another process holds would hold the others up: a short moment is enough.
      if (this.#open === 0) void this.#run()
      else setImmediate(() => setImmediate(() => void this.#run()))
    })
  }

  settled(key: string): void {
    if (this.#called.has(key)) return
    this.#open--
    if (this.#open === 0) void this.#run()
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
