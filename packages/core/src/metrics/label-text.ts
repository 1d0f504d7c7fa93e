/** Labels as they stand between braces: `a="1",b="2"`. */
export function labelText(labels: Iterable<readonly [name: string, value: string]>): string {
  let text = ''
  for (const [name, value] of labels) {
    text += `${text === '' ? '' : ','}${name}="${escapeLabelValue(value)}"`
  }
  return text
}

/** A help text on one line. OpenMetrics escapes quotes in it too, Prometheus text does not. */
export function escapeHelp(help: string, escapesQuotes: boolean): string {
  if (!NEEDS_ESCAPE.test(help)) return help
  const escaped = help.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`)
  return escapesQuotes ? escaped.replaceAll('"', String.raw`\"`) : escaped
}

/** A number in the text formats. */
export function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}

function escapeLabelValue(value: string): string {
  if (!NEEDS_ESCAPE.test(value)) return value
  return value
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('"', String.raw`\"`)
}

const NEEDS_ESCAPE = /["\\\n]/
