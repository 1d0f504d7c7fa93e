import type { FunctionDefinition } from './protocol.ts'

/** A function whose mean run time is above this is sent alone, so that nothing waits behind it. */
const LONG_MS = 0.5
/** Up to this, the way to the worker and back is worth hiding. */
const READY_MS = 8
/** Weights of a new run time; a longer one counts at once, shorter ones slowly. */
const RISE = 0.3
const FALL = 0.1

/** A function that a pool runs, with what is known of its run time. */
export class PoolFunction {
  readonly index: number
  readonly name: string
  readonly definition: FunctionDefinition
  #meanMs = Number.NaN

  constructor(index: number, name: string, kind: 'name' | 'source', text: string) {
    this.index = index
    this.name = name
    this.definition = [index, kind, text]
  }

  /** Exponentially weighted; `NaN` before the first run. */
  get meanMs(): number {
    return this.#meanMs
  }

  /** Whether many of its tasks may lie in one worker at once. */
  get isShort(): boolean {
    return this.#meanMs <= LONG_MS
  }

  /** Whether one of its tasks may lie ready behind another, to be taken back if a worker is free. */
  get canLieReady(): boolean {
    return this.#meanMs <= READY_MS
  }

  observe(durationMs: number): void {
    if (Number.isNaN(this.#meanMs)) this.#meanMs = durationMs
    else {
      this.#meanMs += (durationMs - this.#meanMs) * (durationMs > this.#meanMs ? RISE : FALL)
    }
  }
}
