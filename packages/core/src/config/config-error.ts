import { DharmaError } from '../errors.ts'

/** One thing that is wrong with the configuration. Never holds a value. */
export interface ConfigProblem {
  /** The value's path: `cache.redis.url`. */
  readonly path: string
  /** The variable that would set it. */
  readonly variable: string
  /** Where the rejected value came from; `undefined` when there is none. */
  readonly origin: string | undefined
  /** What would be right, in words. */
  readonly expected: string
}

/** The configuration is wrong: everything that is, at once, in {@link problems}. */
export class ConfigError extends DharmaError {
  override readonly name = 'ConfigError'
  readonly code = 'DHARMA_CONFIG_INVALID'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    super([`${count} in the configuration:`, ...problems.map(line)].join('\n  '))
    this.problems = Object.freeze(problems.map((problem) => Object.freeze({ ...problem })))
  }
}

function line({ path, variable, origin, expected }: ConfigProblem): string {
  const complaint = origin === undefined ? 'missing' : `wrong in ${origin}`
  return `${path} (${variable}): ${complaint}, expected ${expected}`
}
