/** The lowest version of a key that a read may return, and why. */
export interface Floor {
  readonly key: string
  readonly version: number
  /** From when on, on the machine's clock. */
  readonly fromMs: number
  /** Number of the process whose write or invalidation it was. */
  readonly by: number
  /** What it was, for example `delete`. */
  readonly cause: string
}

/** What one process knows of the versions that must not be read any more. */
export class Floors {
  readonly #holding = new Map<string, Floor>()
  readonly #coming = new Map<string, Floor[]>()

  /** Adds a floor; one of the future holds once its time has come. */
  add(floor: Floor): void {
    const coming = this.#coming.get(floor.key) ?? []
    // What comes later and asks for less will never matter.
    const isNeedless = coming.some(
      ({ fromMs, version }) => fromMs <= floor.fromMs && version >= floor.version,
    )
    if (isNeedless) return
    const needed = coming.filter(
      ({ fromMs, version }) => fromMs < floor.fromMs || version > floor.version,
    )
    this.#coming.set(floor.key, [...needed, floor])
  }

  /** The floor of a read that begins now. */
  at(key: string, nowMs: number): Floor | undefined {
    const coming = this.#coming.get(key)
    let holding = this.#holding.get(key)
    if (coming === undefined) return holding
    const later: Floor[] = []
    for (const floor of coming) {
      if (floor.fromMs > nowMs) later.push(floor)
      else if (holding === undefined || floor.version > holding.version) holding = floor
    }
    if (later.length === 0) this.#coming.delete(key)
    else this.#coming.set(key, later)
    if (holding !== undefined) this.#holding.set(key, holding)
    return holding
  }
}
