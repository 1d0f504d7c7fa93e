import { smallKindOf, smallNumberOf, smallValueOf } from './small-value.ts'

const HEAD = 0
const BELL_RUNG = 1
const FIRST = 2

/**
 * Memory that a pool and one of its threads share. Each task that the thread holds has a slot with
 *
 * - a claim: its ticket while it waits, the negated ticket once it was started, 0 when it was taken back.
 *   Both sides change it by compare-and-exchange, so a task is either started or taken back;
 * - its result, if that is a number, a boolean, null or undefined, and its run time. A result is in
 *   the pool's reach as soon as it exists, even if the next task hangs or ends the thread.
 */
export class SharedSlots {
  readonly buffer: SharedArrayBuffer
  readonly #control: Int32Array
  readonly #claims: Int32Array
  readonly #finished: Int32Array
  readonly #kinds: Int32Array
  readonly #values: Float64Array
  readonly #durations: Float64Array
  #head = 0
  #tail = 0

  constructor(slots: number | SharedArrayBuffer) {
    const size = typeof slots === 'number' ? slots + (slots % 2) : (slots.byteLength - 16) / 28
    this.buffer = typeof slots === 'number' ? new SharedArrayBuffer(16 + size * 28) : slots
    let offset = 0
    const ints = (length: number): Int32Array => {
      const view = new Int32Array(this.buffer, offset, length)
      offset += length * 4
      return view
    }
    this.#control = ints(FIRST)
    this.#claims = ints(size)
    // Two more than can be in it, so that full and empty differ.
    this.#finished = ints(size + 2)
    this.#kinds = ints(size)
    // size is even, so that this offset is a multiple of eight.
    this.#values = new Float64Array(this.buffer, offset, size)
    this.#durations = new Float64Array(this.buffer, offset + size * 8, size)
  }

  /** Pool: the slot holds this task from now on. */
  offer(slot: number, ticket: number): void {
    Atomics.store(this.#claims, slot, ticket)
  }

  /** Pool: takes a task back; `false` if it was started. */
  revoke(slot: number, ticket: number): boolean {
    return Atomics.compareExchange(this.#claims, slot, ticket, 0) === ticket
  }

  /** Pool: whether the thread began this task. */
  hasStarted(slot: number, ticket: number): boolean {
    return Atomics.load(this.#claims, slot) === -ticket
  }

  /** Worker: `false` if the task was taken back. */
  claim(slot: number, ticket: number): boolean {
    return Atomics.compareExchange(this.#claims, slot, ticket, -ticket) === ticket
  }

  /** Worker: `false` if the value does not fit a slot and has to be posted. */
  publish(slot: number, value: unknown, durationMs: number): boolean {
    const kind = smallKindOf(value)
    if (kind === undefined) return false
    this.#kinds[slot] = kind
    this.#values[slot] = smallNumberOf(value)
    this.#durations[slot] = durationMs
    this.#finished[this.#head] = slot
    this.#head = (this.#head + 1) % this.#finished.length
    Atomics.store(this.#control, HEAD, this.#head)
    return true
  }

  /** Worker: whether the pool has to be woken, because it is not awake already. */
  ring(): boolean {
    return Atomics.exchange(this.#control, BELL_RUNG, 1) === 0
  }

  /**
   * Pool: hands over every result that was published since the last call.
   *
   * @throws TypeError when a task has overwritten this memory.
   */
  drain(onResult: (slot: number, value: unknown, durationMs: number) => void): void {
    Atomics.store(this.#control, BELL_RUNG, 0)
    for (;;) {
      const head = Atomics.load(this.#control, HEAD)
      if (head === this.#tail) return
      if (head < 0 || head >= this.#finished.length) throw new TypeError(`a result at ${head}`)
      const slot = this.#finished[this.#tail] ?? 0
      this.#tail = (this.#tail + 1) % this.#finished.length
      const value = smallValueOf(this.#kinds[slot] ?? 0, this.#values[slot] ?? 0)
      onResult(slot, value, this.#durations[slot] ?? 0)
    }
  }
}
