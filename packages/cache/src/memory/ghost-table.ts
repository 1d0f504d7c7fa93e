/** Lifetime of a key in the unit in which turns are kept, so that 16 bits hold 16 lifetimes. */
const MAX_UNITS = 4_096
const LOW_16_BITS = 0xff_ff

/**
 * Remembers which keys were evicted lately, in 4 bytes a place of a direct mapped table: half a
 * fingerprint, half the turn in which it was put there. Two keys may share a place; the younger wins.
 */
export class GhostTable {
  readonly #places: Uint32Array<ArrayBuffer>
  /** Turns that count as one. */
  readonly #turnsPerUnit: number
  readonly #lifetimeUnits: number
  /** Begins a lifetime ahead of the empty places' zero. */
  #turn: number

  /** @param capacity Evictions after which a key is forgotten. */
  constructor(capacity: number) {
    const lifetime = Math.max(1, capacity)
    this.#turnsPerUnit = Math.ceil(lifetime / MAX_UNITS)
    this.#lifetimeUnits = Math.ceil(lifetime / this.#turnsPerUnit)
    this.#turn = this.#lifetimeUnits * this.#turnsPerUnit
    this.#places = new Uint32Array(placesFor(lifetime))
  }

  /** Notes an evicted key by its hash. */
  add(hash: number): void {
    this.#turn++
    this.#places[this.#placeOf(hash)] = ((hash & ~LOW_16_BITS) | this.#unit()) >>> 0
  }

  /** Whether the key was evicted lately; forgets it. */
  take(hash: number): boolean {
    const place = this.#placeOf(hash)
    const noted = this.#places[place] as number
    if (((noted ^ hash) & ~LOW_16_BITS) !== 0) return false
    const age = (this.#unit() - (noted & LOW_16_BITS)) & LOW_16_BITS
    if (age >= this.#lifetimeUnits) return false
    this.#places[place] =
      (noted & ~LOW_16_BITS) | ((this.#unit() - this.#lifetimeUnits) & LOW_16_BITS)
    return true
  }

  #unit(): number {
    return Math.floor(this.#turn / this.#turnsPerUnit) & LOW_16_BITS
  }

  #placeOf(hash: number): number {
    return hash & (this.#places.length - 1)
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
