import { PROFILE_VARIABLE } from './profile.ts'

/** The variable that holds the path of the config file. */
export const CONFIG_FILE_VARIABLE = 'DHARMA_CONFIG_FILE'

/** What every variable begins with. */
export const VARIABLE_PREFIX = 'DHARMA_'

const NAMESPACE = /^[a-z][A-Za-z0-9]*(?:-[a-z0-9]+)*$/
const KEY = /^[a-z][A-Za-z0-9]*$/

/** Who owns each variable that any definition of this process made. */
const owners = new Map<string, string>([
  [PROFILE_VARIABLE, 'the profile'],
  [CONFIG_FILE_VARIABLE, 'the config file'],
])

/** `DHARMA_CACHE_MAX_BYTES` for `['cache', 'maxBytes']`. Names are made, never taken apart. */
export function variableName(path: readonly string[]): string {
  return VARIABLE_PREFIX + path.map(upperCaseWords).join('_')
}

/** The variable that holds the path of a file with the value, as mounted secrets have it. */
export function fileVariableName(variable: string): string {
  return `${variable}_FILE`
}

function upperCaseWords(name: string): string {
  return name
    .replaceAll('-', '_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase()
}

/** @throws TypeError when a namespace is neither camel nor kebab case */
export function checkNamespace(namespace: string): void {
  if (NAMESPACE.test(namespace)) return
  throw new TypeError(`a config namespace must be like orders or order-items, got "${namespace}"`)
}

/** @throws TypeError when a key is not camel case, or would hide a member of the loaded config */
export function checkKey(path: readonly string[]): void {
  const key = path.at(-1) ?? ''
  if (!KEY.test(key)) {
    throw new TypeError(`a config key must be camel case, got "${key}" in ${path.join('.')}`)
  }
  if (path.length === 2 && key === 'describe') {
    throw new TypeError(`${path.join('.')} would hide describe() of the loaded config`)
  }
}

/**
 * Records the variables of a definition, each with its `_FILE` form. A namespace may be defined
 * again; two namespaces may not share a variable.
 *
 * @param paths variable name to the path it stands for
 * @throws TypeError when a variable stands for two values; nothing is recorded then
 */
export function claimVariables(
  namespace: string,
  leaves: readonly { readonly path: string; readonly variable: string }[],
): void {
  const claimed = new Map<string, string>()
  for (const { path, variable } of leaves) {
    for (const name of [variable, fileVariableName(variable)]) {
      const owner = owners.get(name)
      const rival = claimed.get(name) ?? (owner === namespace ? undefined : owner)
      if (rival !== undefined) {
        throw new TypeError(`${name} would stand for ${path} and for ${rival}; rename one`)
      }
      claimed.set(name, path)
    }
  }
  for (const name of claimed.keys()) owners.set(name, namespace)
}

/** Every variable that a definition of this process reads. */
export function knownVariables(): ReadonlySet<string> {
  return new Set(owners.keys())
}

/** Every namespace that was defined in this process. */
export function knownNamespaces(): ReadonlySet<string> {
  return new Set(owners.values())
}
