import type { EntryOptions } from './entry-options.ts'

/** Anything that can say whether a value is what it should be: a zod schema, for example. */
export interface ValueSchema<Value> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: Value }
    | { readonly success: false; readonly error: unknown }
}

/** How one kind of value is cached: its keys, its life, what it depends on, and what it looks like. */
export interface Policy<Value, Id> extends Omit<EntryOptions, 'tags' | 'isValid'> {
  /** First part of every key, and what its TTLs are configured under. `a-z`, `0-9` and `-`. */
  readonly name: string
  /** Parts of the key. They are escaped, so that no identifier can stand for another key or a pattern. */
  readonly key: (id: Id) => string | number | readonly (string | number)[]
  /** Grows when the shape of the value changes: entries of other versions are not looked at. @default 1 */
  readonly version?: number | undefined
  /** What an entry depends on. @default nothing */
  readonly tags?: ((id: Id) => readonly string[]) | undefined
  /** Checks what is written and what is read from Redis. @default not checked */
  readonly schema?: ValueSchema<Value> | undefined
  /** Never set: it carries the type of the value. */
  readonly valueType?: Value
}

/** The key of an identifier under a policy. */
export function policyKey<Id>(
  { name, version = 1, key }: Policy<never, Id> | Policy<unknown, Id>,
  id: Id,
): string {
  const parts = key(id)
  const escaped = Array.isArray(parts)
    ? (parts as (string | number)[]).map(escapeKeyPart).join(':')
    : escapeKeyPart(parts as string | number)
  return version === 1 ? `${name}:${escaped}` : `${name}@${version}:${escaped}`
}

/** One part of a key, with what has a meaning in keys and patterns percent-encoded. */
export function escapeKeyPart(part: string | number): string {
  return String(part).replaceAll(/[%:*?[\]\\{}]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
}
