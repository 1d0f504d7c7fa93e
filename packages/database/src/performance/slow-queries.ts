import type { Explanation, ObservedStatement, PostgresManager } from '../postgres/index.ts'
import { parseStatement } from '../sql/index.ts'
import { planHash } from './plan-hash.ts'
import type { QueryPerformanceSettings } from './query-performance-options.ts'
import type { QueryTally } from './query-tally.ts'
import { redactValue } from './redact-value.ts'

/** A query that took longer than `slowMs`. */
export interface SlowQuery {
  readonly fingerprint: string
  readonly statement: string
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
  readonly elapsedMs: number
  /** Types and sizes, no values. */
  readonly parameters: readonly string[]
  /**
   * As the server would run it now, without literal values, and what is wrong with it; asked for
   * later and not for each: `undefined` where it was not.
   */
  readonly plan: Explanation | undefined
}

interface RememberedSlow extends Omit<SlowQuery, 'fingerprint' | 'statement' | 'plan'> {
  readonly tally: QueryTally
  plan: Explanation | undefined
}

/** Statements whose plan can be asked for without running them. */
const EXPLAINABLE = /^(?:select|insert|update|delete|merge)$/

/** The last queries that were slow, some of them with their plan. */
export class SlowQueries {
  readonly #settings: QueryPerformanceSettings
  readonly #slow: RememberedSlow[] = []
  #explainedMs = -Infinity
  #explaining: Promise<void> | undefined

  constructor(settings: QueryPerformanceSettings) {
    this.#settings = settings
  }

  /** Remembers a statement, and asks the manager for its plan where the last one is long ago. */
  noteStatement(
    tally: QueryTally,
    { text, values, elapsedMs, error }: ObservedStatement,
    manager: PostgresManager,
  ): void {
    const slow = this.note(tally, elapsedMs, values)
    const { explainEveryMs, clock } = this.#settings
    if (explainEveryMs === 0 || error !== undefined || this.#explaining !== undefined) return
    if (clock.monotonicMs() - this.#explainedMs < explainEveryMs) return
    this.#explainedMs = clock.monotonicMs()
    this.#explaining = this.#explain(slow, text, values, manager)
  }

  note(tally: QueryTally, elapsedMs: number, values: readonly unknown[]): RememberedSlow {
    const atMs = this.#settings.clock.now()
    tally.slow += 1
    tally.slowSinceMs ??= atMs
    const parameters = values.map(redactValue)
    const slow: RememberedSlow = { tally, atMs, elapsedMs, parameters, plan: undefined }
    this.#slow.push(slow)
    if (this.#slow.length > this.#settings.maxSlowQueries) this.#slow.shift()
    return slow
  }

  /** In the order in which they ended. */
  list(): SlowQuery[] {
    return this.#slow.map(({ tally: { fingerprint, statement }, ...rest }) => ({
      fingerprint,
      statement,
      ...rest,
    }))
  }

  /** Resolves when the plan that is being asked for has come. */
  async settled(): Promise<void> {
    await this.#explaining
  }

  async #explain(
    slow: RememberedSlow,
    text: string,
    values: readonly unknown[],
    manager: PostgresManager,
  ): Promise<void> {
    try {
      const { kind } = await parseStatement(text)
      if (!EXPLAINABLE.test(kind)) return
      const plan = await manager.explain(text, values)
      slow.plan = plan
      slow.tally.planHash = planHash(plan.root)
      slow.tally.findings = plan.findings
    } catch (error) {
      // A plan is a convenience: the query itself was answered, and its report stands without one.
      this.#settings.onError(error)
    } finally {
      this.#explaining = undefined
    }
  }
}
