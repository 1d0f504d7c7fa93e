import { machineMs } from './machine-time.ts'

const EVERY_MS = 10

/** How long this process' event loop was held up, so that a slow machine is not taken for a slow cache. */
export class LagMeter {
  readonly #timer: NodeJS.Timeout
  #totalMs = 0
  #lastMs: number = machineMs()

  constructor() {
    this.#timer = setInterval(() => this.#measure(), EVERY_MS)
    this.#timer.unref()
  }

  /** Since the start, up to now. */
  get totalMs(): number {
    this.#measure()
    return this.#totalMs
  }

  #measure(): void {
    const nowMs = machineMs()
    this.#totalMs += Math.max(0, nowMs - this.#lastMs - EVERY_MS)
    this.#lastMs = nowMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
