import type { Cache } from './cache.ts'
import { InvalidValueError } from './errors.ts'
import type { EntryOptions, LoadContext, LoadOptions } from './entry-options.ts'
import type { InvalidationResult } from './invalidations.ts'
import { policyKey, type Policy } from './policy.ts'

/** A cache as one policy sees it. */
export class PolicyCache<Value, Id> {
  readonly policy: Policy<Value, Id>
  readonly #cache: Cache
  readonly #options: EntryOptions

  constructor(cache: Cache, policy: Policy<Value, Id>, configured: EntryOptions | undefined) {
    this.#cache = cache
    this.policy = policy
    const { ttlMs, staleMs, graceMs, negativeTtlMs, jitterRatio, earlyRefresh, codec, schema } =
      policy
    const isValid =
      schema === undefined
        ? undefined
        : (value: unknown): boolean =>
            value === undefined || value === null || schema.safeParse(value).success
    this.#options = {
      ttlMs,
      staleMs,
      graceMs,
      negativeTtlMs,
      jitterRatio,
      earlyRefresh,
      codec,
      isValid,
      ...configured,
    }
  }

  /** The key under which the entry of an identifier stands. */
  keyOf(id: Id): string {
    return policyKey(this.policy as Policy<unknown, Id>, id)
  }

  peek(id: Id): Value | undefined {
    return this.#cache.peek<Value>(this.keyOf(id))
  }

  get(id: Id): Promise<Value | undefined> {
    return this.#cache.get<Value>(this.keyOf(id), this.#options)
  }

  /** @throws InvalidValueError when what the loader gives does not match the schema. */
  getOrLoad(
    id: Id,
    loader: (id: Id, context: LoadContext<Value>) => Value | Promise<Value>,
    options?: LoadOptions,
  ): Promise<Value> {
    return this.#cache.getOrLoad<Value>(
      this.keyOf(id),
      async (context) => this.#checked(await loader(id, context)),
      this.#optionsFor(id, options),
    )
  }

  /** @throws InvalidValueError when the value does not match the schema. */
  async set(id: Id, value: Value, options?: EntryOptions): Promise<InvalidationResult> {
    return this.#cache.set(this.keyOf(id), this.#checked(value), this.#optionsFor(id, options))
  }

  delete(id: Id): Promise<InvalidationResult> {
    return this.#cache.delete(this.keyOf(id))
  }

  async getMany(ids: readonly Id[]): Promise<Map<Id, Value>> {
    const keys = ids.map((id) => this.keyOf(id))
    const found = await this.#cache.getMany<Value>(keys)
    const { isValid } = this.#options
    const values = new Map<Id, Value>()
    for (const [index, id] of ids.entries()) {
      const value = found.get(keys[index] as string)
      if (value !== undefined && isValid?.(value) !== false) values.set(id, value)
    }
    return values
  }

  /** Drops every entry of this policy. */
  clear(): Promise<InvalidationResult> {
    const { name, version = 1 } = this.policy
    return this.#cache.invalidatePattern(version === 1 ? `${name}:*` : `${name}@${version}:*`)
  }

  #optionsFor<Options extends EntryOptions>(id: Id, options: Options | undefined): Options {
    const tags = options?.tags ?? this.policy.tags?.(id)
    return { ...this.#options, ...options, tags } as Options
  }

  #checked(value: Value): Value {
    const { schema, name } = this.policy
    if (schema === undefined || value === undefined || value === null) return value
    const result = schema.safeParse(value)
    if (!result.success) throw new InvalidValueError(name, { cause: result.error })
    return result.data
  }
}
