import type { ConfigShape } from './define-config.ts'
import { Field } from './field.ts'
import { isPlainObject } from './frozen-copy.ts'
import { nearestName } from './nearest-name.ts'
import type { Environment } from './profile.ts'
import { knownNamespaces, knownVariables, VARIABLE_PREFIX } from './variable-names.ts'

/** A name that sets nothing, most often a slip of the pen. Never holds a value. */
export interface ConfigWarning {
  /** The variable, or the path in the config file. */
  readonly name: string
  /** The name that was probably meant. */
  readonly nearest: string | undefined
  /** Both in one sentence. */
  readonly message: string
}

/** Read by test and benchmark tools, not through a definition. */
const TOOL_PREFIXES = [`${VARIABLE_PREFIX}TEST_`, `${VARIABLE_PREFIX}BENCH_`] as const

/** `DHARMA_*` variables that no definition of this process reads. */
export function unknownVariables(environment: Environment): ConfigWarning[] {
  const known = knownVariables()
  return Object.keys(environment)
    .filter((name) => name.startsWith(VARIABLE_PREFIX) && !known.has(name))
    .filter((name) => !TOOL_PREFIXES.some((prefix) => name.startsWith(prefix)))
    .map((name) => warning(`environment variable ${name}`, name, known))
}

/** Namespaces of a config file that no definition of this process has. */
export function unknownNamespaces(content: Record<string, unknown>): ConfigWarning[] {
  const known = new Set([...knownNamespaces(), '$schema'])
  return Object.keys(content)
    .filter((key) => !known.has(key))
    .map((key) => warning(`${key} in the config file`, key, known))
}

/** What a stray path of a config file is warned of with. */
export function strayWarning({ path, siblings }: StrayPath): ConfigWarning {
  return warning(`${path} in the config file`, path, siblings)
}

/** A path in a tree of values that its shape has no place for. */
export interface StrayPath {
  readonly path: string
  /** `unknown` key, or a value where a `group` of values must stand. */
  readonly reason: 'unknown' | 'group'
  /** Paths that could have been meant. */
  readonly siblings: readonly string[]
}

/** Everything in a tree of values that its shape has no place for. */
export function strayPaths(tree: unknown, shape: ConfigShape, path: string): StrayPath[] {
  if (tree === undefined || tree === null) return []
  const siblings = Object.keys(shape).map((key) => `${path}.${key}`)
  if (!isPlainObject(tree)) return [{ path, reason: 'group', siblings }]
  return Object.entries(tree).flatMap(([key, below]): StrayPath[] => {
    const member = Object.hasOwn(shape, key) ? shape[key] : undefined
    if (member === undefined) return [{ path: `${path}.${key}`, reason: 'unknown', siblings }]
    return member instanceof Field ? [] : strayPaths(below, member, `${path}.${key}`)
  })
}

function warning(subject: string, name: string, candidates: Iterable<string>): ConfigWarning {
  const nearest = nearestName(name, candidates)
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return { name, nearest, message: `${subject} sets nothing${hint}` }
}
