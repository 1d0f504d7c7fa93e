import { lengthOf, pad, wrapText } from './wrap-text.ts'

export interface TextTable {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly align: readonly ('left' | 'right')[]
}

/** The lines of a table that fits `width`; the widest columns give way, and wrap. */
export function layTable({ head, rows, align }: TextTable, width: number): string[] {
  const widths = fit(
    head.map((_, i) => Math.max(...[head, ...rows].map((row) => lengthOf(row[i] ?? '')))),
    width - GAP.length * (head.length - 1),
  )
  const layRow = (cells: readonly string[]): string[] => {
    const wrapped = cells.map((cell, i) => wrapText(cell, widths[i] as number))
    const height = Math.max(...wrapped.map((lines) => lines.length))
    return Array.from({ length: height }, (_, line) =>
      wrapped
        .map((lines, i) => pad(lines[line] ?? '', widths[i] as number, align[i]))
        .join(GAP)
        .trimEnd(),
    )
  }
  const rule = widths.map((one) => '─'.repeat(one)).join(GAP)
  return [...layRow(head), rule, ...rows.flatMap(layRow)]
}

function fit(wanted: readonly number[], width: number): number[] {
  const widths = wanted.map((one) => Math.max(1, one))
  let excess = widths.reduce((sum, one) => sum + one, 0) - width
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths))
    if ((widths[widest] as number) <= NARROWEST) break
    widths[widest] = (widths[widest] as number) - 1
    excess--
  }
  return widths
}

const GAP = '  '
const NARROWEST = 4
