/**
 * Which tasks of a child process were begun and which were taken back, in memory that its main
 * thread shares with its watchdog: the watchdog answers even while the main thread is stuck, and for
 * a task that the main thread has not read yet. A slot holds the ticket of the last task that was
 * taken back there, or the negated ticket of the last that was begun.
 */
export class ChildClaims {
  readonly buffer: SharedArrayBuffer
  readonly #states: Int32Array

  constructor(slots: number | SharedArrayBuffer) {
    this.buffer = typeof slots === 'number' ? new SharedArrayBuffer(slots * 4) : slots
    this.#states = new Int32Array(this.buffer)
  }

  /** `false` if the task was taken back. */
  claim(slot: number, ticket: number): boolean {
    for (;;) {
      const state = Atomics.load(this.#states, slot)
      if (state === ticket) return false
      if (Atomics.compareExchange(this.#states, slot, state, -ticket) === state) return true
    }
  }

  /** `false` if the task was begun, or is long gone from its slot. */
  revoke(slot: number, ticket: number): boolean {
    for (;;) {
      const state = Atomics.load(this.#states, slot)
      if (state === ticket) return true
      if (state !== 0 && !isLater(ticket, Math.abs(state))) return false
      if (Atomics.compareExchange(this.#states, slot, state, ticket) === state) return true
    }
  }
}

/** Tickets count up and begin again after 2^31 - 1. */
function isLater(ticket: number, than: number): boolean {
  const ahead = (ticket - than) & 0x7fff_ffff
  return ahead !== 0 && ahead < 2 ** 30
}
