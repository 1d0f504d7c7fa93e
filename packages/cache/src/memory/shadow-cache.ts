import { S3Fifo } from './s3-fifo.ts'

/** A cache of hashes only, which says what a way of replacement would have hit. */
export class ShadowCache {
  readonly #room: number
  readonly #queues: S3Fifo
  readonly #slots = new Map<number, number>()
  readonly #hashes: Uint32Array<ArrayBuffer>

  constructor(room: number, favoursRecency: boolean) {
    this.#room = room
    this.#queues = new S3Fifo(room, room)
    this.#queues.favoursRecency = favoursRecency
    this.#hashes = new Uint32Array(room)
  }

  /** Whether the read is a hit; a miss is kept. */
  read(hash: number): boolean {
    const known = this.#slots.get(hash)
    if (known !== undefined) {
      this.#queues.touch(known)
      return true
    }
    const slot = this.#slots.size < this.#room ? this.#slots.size : this.#evict()
    this.#hashes[slot] = hash
    this.#slots.set(hash, slot)
    this.#queues.states[slot] = 0
    this.#queues.add(slot, hash)
    return false
  }

  #evict(): number {
    const slot = this.#queues.evict((victim) => this.#hashes[victim] as number)
    this.#slots.delete(this.#hashes[slot] as number)
    return slot
  }
}
