import type { HistoryEvent } from './history.ts'
import type { Counts, Violation } from './messages.ts'
import type { Scenario } from './scenarios.ts'

export interface ReportFacts {
  readonly scenario: Scenario
  readonly seed: number
  readonly startMs: number
  readonly violations: readonly Violation[]
  readonly faults: readonly HistoryEvent[]
  readonly counts: readonly Counts[]
  /** Of the first violation's key, over all processes and with the faults, by time. */
  readonly history: readonly HistoryEvent[]
}

const EVENTS_SHOWN = 120

/** What came of a run. */
export class Report {
  readonly #facts: ReportFacts

  constructor(facts: ReportFacts) {
    this.#facts = facts
  }

  get violations(): readonly Violation[] {
    return this.#facts.violations
  }

  get faults(): number {
    return this.#facts.faults.length
  }

  /** Over all processes; of `longestWaitMs` the longest. */
  get counts(): Counts {
    const sum = (name: keyof Counts): number =>
      this.#facts.counts.reduce((total, counts) => total + counts[name], 0)
    return {
      reads: sum('reads'),
      hits: sum('hits'),
      loads: sum('loads'),
      writes: sum('writes'),
      invalidations: sum('invalidations'),
      pending: sum('pending'),
      longestWaitMs: Math.max(...this.#facts.counts.map(({ longestWaitMs }) => longestWaitMs)),
    }
  }

  /** @throws Error with the whole story if the promise was broken. */
  assertKept(): void {
    if (this.violations.length > 0) throw new Error(this.toString())
  }

  /** @throws Error if the promise was kept, which a wrong cache should not have managed. */
  firstViolation(): Violation {
    const [first] = this.violations
    if (first === undefined) throw new Error(`nothing was caught: ${this.summary}`)
    return first
  }

  /** Line for a log: what was run, and that it can be run again. */
  get summary(): string {
    const { scenario, seed } = this.#facts
    const facts = Object.entries({ ...this.counts, faults: this.faults })
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
    return `${scenario.name}: ${this.violations.length} violations, seed ${seed} (${facts})`
  }

  /** Everything a person needs to understand the first violation. */
  toString(): string {
    const { history, startMs, violations } = this.#facts
    const [first] = violations
    if (first === undefined) return this.summary
    const timeOf = (atMs: number): string => `${(atMs - startMs).toFixed(1).padStart(9)} ms`
    return [
      this.summary,
      `Run it again with DHARMA_CHECKER_SEED=${this.#facts.seed}`,
      ...violations
        .slice(0, 5)
        .map(
          (each) => `promise ${each.promise}, process ${each.worker}, ${each.key}: ${each.what}`,
        ),
      `History of ${first.key}:`,
      ...history
        .filter(({ atMs }) => atMs <= first.atMs + 50)
        .slice(-EVENTS_SHOWN)
        .map(({ atMs, worker, what }) => {
          const who = worker < 0 ? 'fault' : `process ${worker}`
          return `${timeOf(atMs)}  ${who.padEnd(9)}  ${what}`
        }),
    ].join('\n')
  }
}
