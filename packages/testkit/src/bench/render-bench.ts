import type { Bar, Figures } from './define-bench.ts'
import type { BenchResult } from './run-bench.ts'

/** A result as a Markdown table of medians, followed by its bars. */
export function renderBench({ bench, medians, bars }: BenchResult): string {
  const rows = Object.entries(medians)
  const columns = [...new Set(rows.flatMap(([, figures]) => Object.keys(figures)))]
  const first = rows[0]?.[1] ?? {}
  const ratio = columns.includes('nsPerOp') ? 'nsPerOp' : columns[0]
  const lines = [
    `**${bench.title}** (\`${bench.name}\`)`,
    '',
    `| | ${columns.map(heading).join(' | ')} | time × ours |`,
    `|---|${columns.map(() => '---:|').join('')}---:|`,
    ...rows.map(([name, figures]) => {
      const cells = columns.map((column) => number(figures[column]))
      return `| ${name} | ${cells.join(' | ')} | ${ratioOf(figures, first, ratio)} |`
    }),
  ]
  if (bars.length > 0) {
    lines.push(
      '',
      ...bars.map(({ bar, value, isMet }) => `- ${isMet ? '✓' : '✗'} ${sentence(bar, value)}`),
    )
  }
  return lines.join('\n')
}

function ratioOf(figures: Figures, ours: Figures, column: string | undefined): string {
  if (column !== 'nsPerOp') return ''
  return number((figures[column] ?? Number.NaN) / (ours[column] ?? Number.NaN))
}

function sentence(bar: Bar, value: number): string {
  const figure = heading(bar.figure ?? 'nsPerOp')
  const what = bar.over === undefined ? '' : ` ÷ ${bar.over}`
  const limit = bar.atMost === undefined ? `≥ ${bar.atLeast}` : `≤ ${bar.atMost}`
  return `${bar.subject}${what}, ${figure}: ${number(value)} (bar ${limit})`
}

function heading(figure: string): string {
  const known: Readonly<Record<string, string>> = {
    nsPerOp: 'ns/op',
    opsPerSec: 'ops/s',
    cpuMicrosPerOp: 'CPU µs/op',
  }
  return known[figure] ?? figure
}

function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return Number(value.toPrecision(3)).toString()
}
