/** What a window of time showed about a lane. */
export interface LaneWindow {
  readonly answersPerSecond: number
  /** Mean number of statements on their way per connection. */
  readonly meanInFlight: number
}

/** Below this load a connection more or less shows nothing. */
const BUSY_IN_FLIGHT = 8
/** A change below this share is noise. */
const NOISE = 0.03
/** Windows to stay with what proved best before trying another number again. */
const REST_WINDOWS = 40

/**
 * Finds the number of shared connections by trying one more or one less while the lane is busy,
 * and going back when that served no better: two often beat ten.
 */
export class LaneSizer {
  readonly #max: number
  #size: number
  #step: 1 | -1 = 1
  #phase: 'resting' | 'settling' | 'trying' = 'resting'
  #restWindows = 4
  #bestRate = 0

  constructor(max: number) {
    this.#max = max
    this.#size = Math.min(2, max)
  }

  /** Connections wanted now. */
  get size(): number {
    return this.#size
  }

  /** Takes in one window of about a quarter of a second. */
  observe({ answersPerSecond, meanInFlight }: LaneWindow): void {
    if (this.#max === 1) return
    switch (this.#phase) {
      case 'resting':
        if (meanInFlight < BUSY_IN_FLIGHT) return
        this.#bestRate =
          this.#bestRate === 0 ? answersPerSecond : (this.#bestRate + answersPerSecond) / 2
        this.#restWindows -= 1
        if (this.#restWindows <= 0) this.#try()
        return
      case 'settling':
        // The window in which the number changed says nothing about it.
        this.#phase = 'trying'
        return
      case 'trying':
        this.#judge(answersPerSecond)
        return
      default:
        this.#phase satisfies never
    }
  }

  #try(): void {
    if (this.#size + this.#step > this.#max || this.#size + this.#step < 1) {
      this.#step = this.#step === 1 ? -1 : 1
    }
    this.#size += this.#step
    this.#phase = 'settling'
  }

  #judge(answersPerSecond: number): void {
    // Fewer connections win a tie: they leave the server more room.
    const needed = this.#bestRate * (this.#step === 1 ? 1 + NOISE : 1 - NOISE)
    if (answersPerSecond >= needed) {
      this.#bestRate = answersPerSecond
      const next = this.#size + this.#step
      if (next >= 1 && next <= this.#max) {
        this.#try()
        return
      }
    } else {
      this.#size -= this.#step
      this.#step = this.#step === 1 ? -1 : 1
    }
    this.#phase = 'resting'
    this.#restWindows = REST_WINDOWS
    this.#bestRate = 0
  }
}
