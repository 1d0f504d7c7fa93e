const PLACEHOLDER = /\{(\w+)\}/g

/** The labels that a summary speaks of. */
export function placeholdersOf(summary: string): string[] {
  return Array.from(summary.matchAll(PLACEHOLDER), ([, label = '']) => label)
}

/** The summary with the values of the labels. */
export function fillSummary(summary: string, labels: Readonly<Record<string, string>>): string {
  return summary.replaceAll(PLACEHOLDER, (_, label: string) => labels[label] ?? '')
}

/** The summary as a template of Prometheus. */
export function templateOf(summary: string): string {
  return summary.replaceAll(PLACEHOLDER, (_, label: string) => `{{ $labels.${label} }}`)
}
