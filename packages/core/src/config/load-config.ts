import { ConfigError, type ConfigProblem } from './config-error.ts'
import type { ConfigDefinition, ConfigInput, ConfigLeaf, ConfigShape } from './define-config.ts'
import { configOf, type Config, type Setting } from './loaded-config.ts'
import {
  PROFILE_VARIABLE,
  profiles,
  readProfile,
  type Environment,
  type Profile,
} from './profile.ts'
import { find, readConfigFile, type Sources } from './sources.ts'
import {
  strayPaths,
  strayWarning,
  unknownNamespaces,
  unknownVariables,
  type ConfigWarning,
  type StrayPath,
} from './unknown-names.ts'
import { CONFIG_FILE_VARIABLE } from './variable-names.ts'

/** What {@link loadConfigs} may be told. */
export interface LoadConfigsOptions<V = unknown> {
  /** Values from code, by namespace; they come before all other sources. @default none */
  readonly values?: V
  /** Read, never changed. @default process.env */
  readonly environment?: Environment
  /** Path of a JSON file with one object for each namespace. @default the variable DHARMA_CONFIG_FILE */
  readonly file?: string
  /** @default the variable DHARMA_PROFILE, else NODE_ENV, else development */
  readonly profile?: Profile
  /** Told of variables and keys that set nothing. @default process.emitWarning, once for each name */
  readonly onWarning?: (warning: ConfigWarning) => void
}

/** What {@link loadConfig} may be told. */
export interface LoadConfigOptions<S> extends Omit<LoadConfigsOptions, 'values'> {
  /** Values from code; they come before all other sources. @default none */
  readonly values?: ConfigInput<S>
}

type Loaded<D> = D extends ConfigDefinition<string, infer S> ? Config<S> : never
type InputOf<D extends readonly ConfigDefinition[]> = {
  readonly [E in D[number] as E['namespace']]?: ConfigInput<E['shape']> | undefined
}

/**
 * Loads one namespace. For each value the first source that sets it decides: code, the variable,
 * the file that its `_FILE` variable names, the config file, the profile's default, the default. An
 * empty variable sets nothing.
 *
 * @throws ConfigError with everything that is wrong
 * @throws TypeError when `values` has a key that the definition has not
 */
export function loadConfig<S extends ConfigShape>(
  definition: ConfigDefinition<string, S>,
  { values, ...options }: LoadConfigOptions<S> = {},
): Config<S> {
  const { namespace } = definition
  const [config] = loadAll([definition], { ...options, values: { [namespace]: values } })
  return config as Config<S>
}

/** Loads several namespaces like {@link loadConfig}, and reports what is wrong in any of them at once. */
export function loadConfigs<const D extends readonly ConfigDefinition[]>(
  definitions: D,
  options: LoadConfigsOptions<InputOf<D>> = {},
): { readonly [K in keyof D]: Loaded<D[K]> } {
  return loadAll(definitions, options) as { readonly [K in keyof D]: Loaded<D[K]> }
}

function loadAll(
  definitions: readonly ConfigDefinition[],
  options: LoadConfigsOptions,
): readonly Config<ConfigShape>[] {
  const { values = {}, environment = process.env, onWarning = emitWarning } = options
  for (const definition of definitions) checkValues(values, definition)

  const problems: ConfigProblem[] = []
  const profile = profileOf(options.profile, environment, problems)
  const configFile = openConfigFile(options.file ?? environment[CONFIG_FILE_VARIABLE], problems)
  const stray = definitions.flatMap((each) => strayIn(configFile, each))
  const warnings = [
    ...unknownVariables(environment),
    ...unknownNamespaces(configFile),
    ...stray.filter(({ reason }) => reason === 'unknown').map(strayWarning),
  ]
  for (const warning of warnings) onWarning(warning)
  for (const { path, reason } of stray) {
    if (reason === 'group') problems.push(configFileProblem(path, 'a JSON object'))
  }

  const sources: Sources = { values, environment, configFile }
  const configs = definitions.map(({ leaves }) =>
    configOf(leaves.map((leaf) => settle(leaf, sources, profile, problems))),
  )
  if (problems.length > 0) throw new ConfigError(problems)
  return configs
}

/** The value of a leaf; what is wrong with it goes to `problems`. */
function settle(
  leaf: ConfigLeaf,
  sources: Sources,
  profile: Profile | undefined,
  problems: ConfigProblem[],
): Setting {
  const { field, path, variable } = leaf
  const found = find(leaf, sources)
  if (found === undefined) return settleDefault(leaf, profile, problems)
  const value = 'read' in found ? found.read() : undefined
  if (value === undefined) {
    const expected = 'read' in found ? field.kind.expected : found.unreadable
    problems.push({ path, variable, origin: found.origin, expected })
  }
  return { leaf, value, origin: found.origin }
}

function settleDefault(
  leaf: ConfigLeaf,
  profile: Profile | undefined,
  problems: ConfigProblem[],
): Setting {
  const { field, path, variable } = leaf
  const fallback = profile && leaf.defaults[profile]
  if (fallback !== undefined) return { leaf, ...fallback }
  // Without a profile it is not known what is missing, and the load fails already.
  if (!field.isOptional && profile !== undefined) {
    problems.push({ path, variable, origin: undefined, expected: field.kind.expected })
  }
  return { leaf, value: undefined, origin: 'unset' }
}

function profileOf(
  given: Profile | undefined,
  environment: Environment,
  problems: ConfigProblem[],
): Profile | undefined {
  const names = profiles.join(', ')
  if (given !== undefined && !profiles.includes(given)) {
    throw new TypeError(`profile must be one of ${names}, got "${given}"`)
  }
  const profile = given ?? readProfile(environment)
  if (profile === undefined) {
    const expected = `one of ${names}`
    problems.push({ path: 'profile', variable: PROFILE_VARIABLE, origin: 'env', expected })
  }
  return profile
}

type Tree = Record<string, unknown>

function openConfigFile(path: string | undefined, problems: ConfigProblem[]): Tree {
  if (path === undefined || path === '') return {}
  const file = readConfigFile(path)
  if ('content' in file) return file.content
  problems.push(configFileProblem('config file', file.failure))
  return {}
}

function configFileProblem(path: string, expected: string): ConfigProblem {
  return { path, variable: CONFIG_FILE_VARIABLE, origin: 'config file', expected }
}

function strayIn(tree: unknown, { namespace, shape }: ConfigDefinition): StrayPath[] {
  return strayPaths((tree as Tree)[namespace], shape, namespace)
}

function checkValues(values: unknown, definition: ConfigDefinition): void {
  const [stray] = strayIn(values, definition)
  if (stray === undefined) return
  const rule = stray.reason === 'group' ? 'must be a plain object' : 'is not in the definition'
  throw new TypeError(`${stray.path} of the values from code ${rule}`)
}

const warned = new Set<string>()

function emitWarning({ message }: ConfigWarning): void {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(message, { type: 'ConfigWarning', code: 'DHARMA_CONFIG_UNKNOWN_NAME' })
}
