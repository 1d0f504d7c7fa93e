/** A statement with its parameters apart, as {@link sql} makes it. */
export interface SqlStatement {
  /** With `$1`, `$2` … in place of the values. */
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * A statement from a template, every value a parameter, so that no value can become part of the
 * text. Statements made by `sql` may be values themselves, and their parameters are numbered anew.
 */
export function sql(strings: TemplateStringsArray, ...values: readonly unknown[]): SqlStatement {
  const parameters: unknown[] = []
  const text = strings.reduce((built, part, index) => {
    const value = values[index - 1]
    if (!isStatement(value)) {
      parameters.push(value)
      return `${built}$${parameters.length}${part}`
    }
    const offset = parameters.length
    parameters.push(...value.values)
    return built + renumber(value.text, offset) + part
  })
  return new Statement(text, parameters)
}

/** A class of its own, so that an object from JSON is never taken for SQL text. */
class Statement implements SqlStatement {
  readonly text: string
  readonly values: readonly unknown[]

  constructor(text: string, values: readonly unknown[]) {
    this.text = text
    this.values = values
  }
}

function isStatement(value: unknown): value is Statement {
  return value instanceof Statement
}

function renumber(text: string, offset: number): string {
  return text.replace(/\$(\d+)/g, (_, number: string) => `$${Number(number) + offset}`)
}
