import type { Cells } from './bucket-layout.ts'

/** The cells of one series in the memory of other threads, which only they write. */
export class ThreadParts {
  #parts: Float64Array[] = []

  add(part: Float64Array): void {
    this.#parts.push(part)
  }

  /** False if it was not there. */
  remove(part: Float64Array): boolean {
    const before = this.#parts.length
    this.#parts = this.#parts.filter((other) => other !== part)
    return this.#parts.length < before
  }

  /** The sum of one cell over all threads. */
  sum(cell: number): number {
    let sum = 0
    for (const part of this.#parts) sum += part[cell] as number
    return sum
  }

  /** Adds the cells of all threads to `cells`, as many as it has. */
  addTo(cells: Cells): void {
    for (const part of this.#parts) addCells(cells, part, cells.length)
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  /** Sets the threads' cells to zero; an addition made at the same moment may survive. */
  reset(): void {
    for (const part of this.#parts) part.fill(0)
  }
}

/** Adds the first `count` cells of `from` to those of `to`. */
export function addCells(to: Cells, from: Cells, count: number): void {
  for (let i = 0; i < count; i++) (to[i] as number) += from[i] as number
}
