import type { ChartSeries } from './report.ts'

/** What a line chart says in one row. */
export interface SeriesSummary {
  readonly least: number | null
  readonly most: number | null
  readonly last: number | null
}

/** Least, most and last value of a series; `null` without any. */
export function summarize({ values }: ChartSeries): SeriesSummary {
  const known = values.filter((value) => value !== null)
  return {
    least: known.reduce<number | null>((low, value) => Math.min(low ?? value, value), null),
    most: known.reduce<number | null>((high, value) => Math.max(high ?? value, value), null),
    last: known.at(-1) ?? null,
  }
}

/** The series in one line of at most `width` characters, each the mean of its part; a gap is a space. */
export function sparkline(series: ChartSeries, width: number): string {
  const { least, most } = summarize(series)
  if (least === null || most === null) return ''
  const columns = Math.min(width, series.values.length)
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * series.values.length) / columns)
    const to = Math.floor(((column + 1) * series.values.length) / columns)
    const part = series.values.slice(from, to).filter((value) => value !== null)
    if (part.length === 0) return ' '
    const mean = part.reduce((sum, value) => sum + value, 0) / part.length
    const share = most === least ? 0.5 : (mean - least) / (most - least)
    return LEVELS[Math.min(LEVELS.length - 1, Math.floor(share * LEVELS.length))]
  }).join('')
}

/** A bar of blocks, `width` long at `most`; what is above zero shows at least a sliver. */
export function barOf(value: number, most: number, width: number): string {
  if (most === 0 || value === 0) return ''
  const eighths = Math.max(1, Math.round((value / most) * width * 8))
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
}

const LEVELS = '▁▂▃▄▅▆▇█'
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
