import { Field } from './field.ts'
import { isPlainObject } from './frozen-copy.ts'
import { profiles, type Profile } from './profile.ts'
import { checkKey, checkNamespace, claimVariables, variableName } from './variable-names.ts'

/** The fields of a definition, in groups as deep as wanted. */
export interface ConfigShape {
  readonly [key: string]: Field<unknown> | ConfigShape
}

/** The values that a shape describes. */
export type ConfigValues<S> = {
  readonly [K in keyof S]: S[K] extends Field<infer T> ? T : ConfigValues<S[K]>
}

/** What code may set: any part of a shape, each value as the environment or as code writes it. */
export type ConfigInput<S> = {
  readonly [K in keyof S]?:
    | (S[K] extends Field<unknown, infer I> ? I : ConfigInput<S[K]>)
    | undefined
}

/** One value of a definition: a leaf of its shape. */
export interface ConfigLeaf {
  /** From the namespace down: `['cache', 'redis', 'url']`. */
  readonly keys: readonly string[]
  /** The keys joined by dots. */
  readonly path: string
  /** `DHARMA_CACHE_REDIS_URL` */
  readonly variable: string
  readonly field: Field<unknown>
  /** What each profile starts from when no source sets the value. */
  readonly defaults: Readonly<Record<Profile, ConfigDefault | undefined>>
}

/** A default, checked, and whether the profile or the field gave it. */
export interface ConfigDefault {
  readonly value: unknown
  readonly origin: 'profile' | 'default'
}

/** A namespace of configuration. Makes types, variables, validation and documentation. */
export interface ConfigDefinition<N extends string = string, S = ConfigShape> {
  readonly namespace: N
  readonly shape: S
  readonly leaves: readonly ConfigLeaf[]
}

/**
 * Defines a namespace of configuration. The variable of `redis.url` in the namespace `cache` is
 * `DHARMA_CACHE_REDIS_URL`.
 *
 * @throws TypeError when a name is malformed, two values would share a variable (in this or an
 *   earlier definition), or a default is not what its field expects
 */
export function defineConfig<const N extends string, S extends ConfigShape>(
  namespace: N,
  shape: S,
): ConfigDefinition<N, S> {
  checkNamespace(namespace)
  const leaves = leavesOf(shape, [namespace])
  claimVariables(namespace, leaves)
  return Object.freeze({ namespace, shape, leaves: Object.freeze(leaves) })
}

function leavesOf(shape: ConfigShape, keys: readonly string[]): ConfigLeaf[] {
  return Object.entries(shape).flatMap(([key, member]) => {
    const below = [...keys, key]
    checkKey(below)
    if (member instanceof Field) return [leafOf(member, below)]
    if (!isPlainObject(member) || Object.keys(member).length === 0) {
      throw new TypeError(`${below.join('.')} must be a field or a group with a field in it`)
    }
    return leavesOf(member, below)
  })
}

function leafOf(field: Field<unknown>, keys: readonly string[]): ConfigLeaf {
  const path = keys.join('.')
  const defaults = Object.fromEntries(
    profiles.map((profile) => [profile, defaultOf(field, profile, path)]),
  ) as Record<Profile, ConfigDefault | undefined>
  return Object.freeze({ keys, path, variable: variableName(keys), field, defaults })
}

function defaultOf(
  field: Field<unknown>,
  profile: Profile,
  path: string,
): ConfigDefault | undefined {
  const ofProfile = field.profileInput(profile)
  const input = ofProfile ?? field.defaultInput()
  if (input === undefined) return undefined
  const value = field.kind.read(input)
  if (value === undefined) {
    const what = ofProfile === undefined ? 'default' : `default of the profile ${profile}`
    throw new TypeError(`the ${what} of ${path} must be ${field.kind.expected}`)
  }
  return { value, origin: ofProfile === undefined ? 'default' : 'profile' }
}
