/**
 * Remembers which keys were evicted lately, in 8 bytes a key: a 32-bit fingerprint in a direct
 * mapped table, with the turn in which it was put there. Two keys may share a place; the younger wins.
 */
export class GhostTable {
  readonly #fingerprints: Uint32Array<ArrayBuffer>
  readonly #turns: Uint32Array<ArrayBuffer>
  #turn = 0
  readonly #lifetime: number

  /** @param capacity Evictions after which a key is forgotten. */
  constructor(capacity: number) {
    this.#lifetime = Math.max(1, capacity)
    const places = placesFor(this.#lifetime)
    this.#fingerprints = new Uint32Array(places)
    this.#turns = new Uint32Array(places)
  }

  /** Notes an evicted key by its hash. */
  add(hash: number): void {
    const place = hash & (this.#fingerprints.length - 1)
    this.#turn = (this.#turn + 1) >>> 0
    this.#fingerprints[place] = hash
    this.#turns[place] = this.#turn
  }

  /** Whether the key was evicted lately; forgets it. */
  take(hash: number): boolean {
    const place = hash & (this.#fingerprints.length - 1)
    if (this.#turn === 0 || this.#fingerprints[place] !== hash) return false
    const age = (this.#turn - (this.#turns[place] ?? 0)) >>> 0
    if (age >= this.#lifetime) return false
    this.#fingerprints[place] = 0
    this.#turns[place] = (this.#turn - this.#lifetime) >>> 0
    return true
  }
}

function placesFor(capacity: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(capacity * 2)))
}

/** FNV-1a over UTF-16 code units, mixed so that its low bits can address a table. */
export function hashKey(key: string): number {
  let hash = 0x81_1c_9d_c5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01_00_01_93)
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c_1b_3c_6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x29_7a_2d_39)
  return (hash ^ (hash >>> 15)) >>> 0
}
