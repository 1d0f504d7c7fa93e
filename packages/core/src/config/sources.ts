import { readFileSync } from 'node:fs'

import type { ConfigLeaf } from './define-config.ts'
import { isPlainObject } from './frozen-copy.ts'
import type { Environment } from './profile.ts'
import { fileVariableName } from './variable-names.ts'

/** Where a value may come from, in the order in which sources are asked. */
export type ConfigOrigin = 'code' | 'env' | 'file' | 'config file' | 'profile' | 'default' | 'unset'

/** What a source holds for a leaf: a value to be read, or why there is none to read. */
export type Found =
  | { readonly origin: ConfigOrigin; readonly read: () => unknown }
  | { readonly origin: ConfigOrigin; readonly unreadable: string }

/** The sources that one load asks, all but the defaults. */
export interface Sources {
  readonly values: unknown
  readonly environment: Environment
  readonly configFile: unknown
}

/** What the first source that sets a leaf holds for it. */
export function find(leaf: ConfigLeaf, sources: Sources): Found | undefined {
  const { field, keys, variable } = leaf
  const inCode = valueAt(sources.values, keys)
  if (inCode !== undefined) return { origin: 'code', read: () => field.kind.read(inCode) }

  const text = sources.environment[variable] ?? ''
  if (text !== '') return { origin: 'env', read: () => field.readText(text) }

  const path = sources.environment[fileVariableName(variable)] ?? ''
  if (path !== '') return findInFile(leaf, path)

  const inFile = valueAt(sources.configFile, keys) ?? undefined
  if (inFile === undefined) return undefined
  return { origin: 'config file', read: () => field.kind.read(inFile) }
}

/** A mounted secret. One line break at its end, which editors and `echo` add, is not part of it. */
function findInFile({ field }: ConfigLeaf, path: string): Found {
  const content = readText(path)
  if ('failure' in content) return { origin: 'file', unreadable: content.failure }
  const text = content.text.replace(/\r?\n$/, '')
  // An empty variable is unset, but an empty file is a mount that went wrong.
  if (text === '') return { origin: 'file', unreadable: 'a file that is not empty' }
  return { origin: 'file', read: () => field.readText(text) }
}

/** The object of a config file, or what it should have been. */
export function readConfigFile(
  path: string,
): { readonly content: Record<string, unknown> } | { readonly failure: string } {
  const file = readText(path)
  if ('failure' in file) return file
  let content: unknown
  try {
    content = JSON.parse(file.text.replace(/^\uFEFF/, ''))
  } catch (error) {
    if (error instanceof SyntaxError) return { failure: `JSON${placeOf(error)}` }
    throw error
  }
  return isPlainObject(content) ? { content } : { failure: 'a JSON object' }
}

/** Where the first mistake is. The parser's own message quotes the file, so it is not shown. */
function placeOf(error: SyntaxError): string {
  const place = / \(line (?<line>\d+) column (?<column>\d+)\)$/.exec(error.message)?.groups
  if (place === undefined) return ''
  return ` (it ends being JSON at line ${place['line']}, column ${place['column']})`
}

function readText(path: string): { readonly text: string } | { readonly failure: string } {
  try {
    return { text: readFileSync(path, 'utf8') }
  } catch (error) {
    // The path is not shown: by a common mistake it is the secret itself.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    return { failure: `the path of a readable file (${code})` }
  }
}

function valueAt(tree: unknown, keys: readonly string[]): unknown {
  let value = tree
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}
