/** Bytes that may still pass in a direction, filled up at a steady rate. */
export class Throttle {
  readonly bytesPerSecond: number
  readonly #freeAtMs = { toServer: 0, toClient: 0 }

  constructor(bytesPerSecond: number) {
    if (!(bytesPerSecond >= 1)) {
      throw new RangeError(`bytesPerSecond must be 1 or more, got ${bytesPerSecond}`)
    }
    this.bytesPerSecond = bytesPerSecond
  }

  /** Books the bytes and says after how many milliseconds they may pass. */
  reserve(direction: 'toServer' | 'toClient', bytes: number, nowMs: number): number {
    const startMs = Math.max(nowMs, this.#freeAtMs[direction])
    this.#freeAtMs[direction] = startMs + (bytes / this.bytesPerSecond) * 1000
    return this.#freeAtMs[direction] - nowMs
  }
}
