import { linkedKey, LinkedKeys, type LinkedKey } from './linked-keys.ts'

/** How often keys were read lately: four rows of 4-bit counters that are halved now and then. */
class FrequencySketch {
  readonly #counters: Uint8Array<ArrayBuffer>
  readonly #mask: number
  readonly #sample: number
  #additions = 0

  constructor(room: number) {
    const width = 2 ** Math.ceil(Math.log2(Math.max(16, room * 4)))
    this.#counters = new Uint8Array(width * 4)
    this.#mask = width - 1
    this.#sample = 10 * Math.max(1, room)
  }

  add(key: number): void {
    let wasAdded = false
    for (let row = 0; row < 4; row++) {
      const at = this.#at(key, row)
      const count = this.#counters[at] as number
      if (count >= 15) continue
      this.#counters[at] = count + 1
      wasAdded = true
    }
    if (!wasAdded || ++this.#additions < this.#sample) return
    this.#additions >>>= 1
    for (let at = 0; at < this.#counters.length; at++) {
      this.#counters[at] = (this.#counters[at] as number) >> 1
    }
  }

  count(key: number): number {
    let least = 15
    for (let row = 0; row < 4; row++) {
      least = Math.min(least, this.#counters[this.#at(key, row)] as number)
    }
    return least
  }

  #at(key: number, row: number): number {
    let hash = Math.imul(key + 1, 0x9e_37_79_b1 + row * 0x85_eb_ca_6b)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c_1b_3c_6d)
    return row * (this.#mask + 1) + ((hash ^ (hash >>> 13)) & this.#mask)
  }
}

/**
 * W-TinyLFU with a window of 1 % and a segmented main part, without the climber of later versions.
 * Source: Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", 2017.
 */
export class WTinyLfu {
  readonly #nodes = new Map<number, LinkedKey>()
  readonly #window = new LinkedKeys()
  readonly #probation = new LinkedKeys()
  readonly #protected = new LinkedKeys()
  readonly #sketch: FrequencySketch
  readonly #windowRoom: number
  readonly #mainRoom: number

  constructor(room: number) {
    this.#sketch = new FrequencySketch(room)
    this.#windowRoom = Math.max(1, Math.round(room / 100))
    this.#mainRoom = room - this.#windowRoom
  }

  read(key: number): boolean {
    this.#sketch.add(key)
    const known = this.#nodes.get(key)
    if (known === undefined) {
      const node = linkedKey(key)
      this.#nodes.set(key, node)
      this.#window.push(node)
      if (this.#window.size > this.#windowRoom) this.#admit(this.#window.shift())
      return false
    }
    const isInWindow = known.list === this.#window
    known.list?.remove(known)
    ;(isInWindow ? this.#window : this.#protected).push(known)
    if (this.#protected.size > this.#mainRoom * 0.8) this.#probation.push(this.#protected.shift())
    return true
  }

  #admit(candidate: LinkedKey): void {
    const { size } = this.#probation
    if (size + this.#protected.size < this.#mainRoom) {
      this.#probation.push(candidate)
      return
    }
    const from = size > 0 ? this.#probation : this.#protected
    const victim = from.oldest
    if (
      victim === undefined ||
      this.#sketch.count(candidate.key) <= this.#sketch.count(victim.key)
    ) {
      this.#nodes.delete(candidate.key)
      return
    }
    from.remove(victim)
    this.#nodes.delete(victim.key)
    this.#probation.push(candidate)
  }
}
