import { createHash } from 'node:crypto'

const MAX_KEY_BYTES = 512
const HEAD_LENGTH = 64

/**
 * Names of what a namespace keeps in Redis. An entry and its lease share a slot, as do the log, its
 * version counter and the list of patterns.
 */
export class KeyLayout {
  readonly namespace: string
  /** Stream of invalidations. */
  readonly log: string
  /** Number of the last invalidation. */
  readonly version: string
  /** Patterns that were invalidated, and the version below which everything is. */
  readonly patterns: string
  readonly #entryPrefix: string

  constructor(namespace: string) {
    this.namespace = namespace
    this.log = `${namespace}:inv`
    this.version = `{${namespace}:inv}:v`
    this.patterns = `{${namespace}:inv}:g`
    this.#entryPrefix = `${namespace}:e:{`
  }

  entry(key: string): string {
    return `${this.#entryPrefix}${storedKey(key)}}`
  }

  lease(key: string): string {
    return `${this.namespace}:l:{${storedKey(key)}}`
  }

  tag(tag: string): string {
    return `${this.namespace}:t:${tag}`
  }
}

/**
 * A cache key as it stands in Redis: as it is, but for the few that could not stand in a hash tag,
 * would be confused with an escaped one, are too long, or cannot be written as UTF-8.
 */
export function storedKey(key: string): string {
  const first = key.charCodeAt(0)
  // '#', '%' and '}'
  if (first === 0x23 || first === 0x25 || first === 0x7d) return stored(`%${key}`)
  return stored(key)
}

function stored(key: string): string {
  if (key.length * 3 <= MAX_KEY_BYTES && key.isWellFormed()) return key
  if (key.isWellFormed() && Buffer.byteLength(key) <= MAX_KEY_BYTES) return key
  const digest = createHash('sha256').update(key, 'utf16le').digest('base64url')
  return `#${digest}:${key.slice(0, HEAD_LENGTH).toWellFormed()}`
}
