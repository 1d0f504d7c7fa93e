import type { ConfigLeaf, ConfigShape, ConfigValues } from './define-config.ts'
import type { ConfigOrigin } from './sources.ts'

/** One line of `describe()`. */
export interface ConfigEntry {
  readonly path: string
  readonly variable: string
  /** As the environment would hold it; masked when secret, `undefined` when unset. */
  readonly value: string | undefined
  readonly origin: ConfigOrigin
}

/** Loaded configuration: the values, frozen at every level, and where each came from. */
export type Config<S> = ConfigValues<S> & {
  /** Every value with its path, variable and origin, in the order of the definition. Safe to log. */
  describe(): readonly ConfigEntry[]
}

/** What loading found for one leaf. */
export interface Setting {
  readonly leaf: ConfigLeaf
  readonly value: unknown
  readonly origin: ConfigOrigin
}

type Tree = { [key: string]: unknown }

/** The config that these settings, those of one definition, make up. */
export function configOf(settings: readonly Setting[]): Config<ConfigShape> {
  const root: Tree = {}
  const groups: Tree[] = [root]
  for (const { leaf, value } of settings) {
    let group = root
    for (const key of leaf.keys.slice(1, -1)) {
      if (!Object.hasOwn(group, key)) groups.push((group[key] = {}))
      group = group[key] as Tree
    }
    group[leaf.keys.at(-1) as string] = value
  }
  const entries = Object.freeze(settings.map(entryOf))
  // Not enumerable: the config stays plain data to whatever copies or prints it.
  Object.defineProperty(root, 'describe', { value: () => entries })
  for (const group of groups) Object.freeze(group)
  return root as Config<ConfigShape>
}

function entryOf({ leaf, value, origin }: Setting): ConfigEntry {
  const { path, variable, field } = leaf
  const text = value === undefined ? undefined : field.kind.write(value)
  return Object.freeze({ path, variable, value: text, origin })
}
