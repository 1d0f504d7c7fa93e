import type { Clock } from '@dharma/core'

interface Entry<Plan> {
  readonly plan: Plan
  readonly untilMs: number
}

/** Plans by text: bounded, for a time, found out once by however many callers. */
export class Plans<Plan> {
  readonly #find: (text: string) => Promise<Plan>
  readonly #ttlMs: number
  readonly #clock: Clock
  readonly #generationSize: number
  readonly #finding = new Map<string, Promise<Plan>>()
  #young = new Map<string, Entry<Plan>>()
  #old = new Map<string, Entry<Plan>>()

  constructor(
    find: (text: string) => Promise<Plan>,
    { ttlMs, clock, max }: { readonly ttlMs: number; readonly clock: Clock; readonly max: number },
  ) {
    this.#find = find
    this.#ttlMs = ttlMs
    this.#clock = clock
    this.#generationSize = Math.ceil(max / 2)
  }

  /** The plan, if it is known and current. */
  known(text: string): Plan | undefined {
    let entry = this.#young.get(text)
    if (entry === undefined) {
      entry = this.#old.get(text)
      if (entry === undefined) return undefined
      this.#keep(text, entry)
    }
    return entry.untilMs > this.#clock.monotonicMs() ? entry.plan : undefined
  }

  async get(text: string): Promise<Plan> {
    const known = this.known(text)
    if (known !== undefined) return known
    const underWay = this.#finding.get(text)
    if (underWay !== undefined) return underWay
    const untilMs = this.#clock.monotonicMs() + this.#ttlMs
    const finding = this.#find(text)
    this.#finding.set(text, finding)
    try {
      const plan = await finding
      // One that began before everything was forgotten is not kept.
      if (this.#finding.get(text) === finding) this.#keep(text, { plan, untilMs })
      return plan
    } finally {
      if (this.#finding.get(text) === finding) this.#finding.delete(text)
    }
  }

  /** Forgets all, those under way included. */
  clear(): void {
    this.#finding.clear()
    this.#young.clear()
    this.#old.clear()
  }

  #keep(text: string, entry: Entry<Plan>): void {
    if (this.#young.size >= this.#generationSize) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(text, entry)
  }
}
