import type { LabelFilter } from './expression.ts'

/** Whether a series with these labels is one that the filter wants. */
export function selects(where: LabelFilter, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(where).every(([label, wanted]) => {
    const value = labels[label] ?? ''
    return typeof wanted === 'string' ? value === wanted : wanted.includes(value)
  })
}

/** The filter in PromQL, braces included; empty if everything is wanted. */
export function writeFilter(where: LabelFilter): string {
  const matchers = Object.entries(where).map(([label, wanted]) =>
    typeof wanted === 'string'
      ? `${label}=${JSON.stringify(wanted)}`
      : `${label}=~${JSON.stringify(wanted.map(escapePattern).join('|'))}`,
  )
  return matchers.length === 0 ? '' : `{${matchers.join(',')}}`
}

/** Prometheus anchors patterns at both ends and reads them as RE2 does. */
function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.|?*+()[\]{}]/g, String.raw`\$&`)
}
