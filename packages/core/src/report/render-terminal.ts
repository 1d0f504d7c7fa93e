import { requireWhole } from '../range.ts'
import { styleText } from 'node:util'
import { barOf, sparkline, summarize } from './chart-summary.ts'
import { formatTime, formatValue, isNumeric } from './format-value.ts'
import { prepareReport } from './prepare-report.ts'
import type {
  BarChart,
  Block,
  Finding,
  PlainCell,
  Report,
  Status,
  Table,
  TimeSeriesChart,
} from './report.ts'
import { layTable } from './terminal-table.ts'
import { lengthOf, pad, wrapText } from './wrap-text.ts'

export interface RenderTerminalOptions {
  /** Characters a line. From 40. @default 80 */
  readonly width?: number
  /** Whether to colour; give `process.stdout.isTTY`. @default false */
  readonly isColored?: boolean
}

/**
 * The report as text for a terminal. Code is not wrapped.
 * @throws RangeError when the width is less than 40.
 */
export function renderTerminal(
  report: Report,
  { width = 80, isColored = false }: RenderTerminalOptions = {},
): string {
  requireWhole('width', width, 40)
  const { title, subtitle, createdAtMs, verdict, sections } = prepareReport(report)
  const page: Page = {
    width,
    paint: (style, text) => (isColored ? styleText(style, text, { validateStream: false }) : text),
  }
  const about = [subtitle, createdAtMs === undefined ? undefined : formatTime(createdAtMs)]
  const lines = [
    ...wrapText(title, width).map((line) => page.paint(['bold'], line)),
    ...wrapText(about.filter((one) => one !== undefined).join(' · '), width),
    page.paint(['dim'], '━'.repeat(width)),
  ]
  if (verdict !== undefined) {
    lines.push(...marked(page, verdict.status, verdict.text))
  }
  for (const section of sections) {
    lines.push('', ...wrapText(section.title, width).map((line) => page.paint(['bold'], line)))
    lines.push(page.paint(['dim'], '─'.repeat(width)))
    for (const [index, block] of section.blocks.entries()) {
      lines.push(...(index === 0 ? [] : ['']), ...layBlock(block, page))
    }
  }
  return `${lines.filter((line, index) => line !== '' || lines[index - 1] !== '').join('\n')}\n`
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

interface Page {
  readonly width: number
  readonly paint: (style: Style[], text: string) => string
}

function layBlock(block: Block<PlainCell>, page: Page): string[] {
  const { width, paint } = page
  switch (block.type) {
    case 'text':
      return wrapText(block.text, width)
    case 'figures': {
      const labels = Math.max(...block.figures.map(({ label }) => lengthOf(label)))
      return block.figures.flatMap(({ label, value, unit, note, status = 'neutral' }) => {
        const shown = formatValue(value, unit) + (note === undefined ? '' : ` (${note})`)
        return hang(`${pad(label, labels)}  `, shown, width).map((line) =>
          status === 'neutral' ? line : paint([COLOR[status]], line),
        )
      })
    }
    case 'table':
      return [paint(['bold'], block.caption), ...layTable(textTable(block), width)]
    case 'time-series':
      return layTimeSeries(block, page)
    case 'bars':
      return layBars(block, page)
    case 'findings':
      if (block.findings.length === 0) return ['No findings.']
      return block.findings.flatMap((finding, index) => [
        ...(index === 0 ? [] : ['']),
        ...layFinding(finding, page),
      ])
    case 'code':
      return [
        ...(block.caption === undefined ? [] : [paint(['bold'], block.caption)]),
        ...indent(block.code),
      ]
  }
}

function layTimeSeries(
  { caption, unit, series, timesMs }: TimeSeriesChart,
  { width, paint }: Page,
): string[] {
  const lines = [paint(['bold'], caption)]
  const [first, last] = [timesMs[0], timesMs.at(-1)]
  if (first === undefined || last === undefined) return lines
  lines.push(paint(['dim'], `${formatTime(first)} to ${formatTime(last)}`))
  for (const one of series) {
    const { least, most, last: now } = summarize(one)
    const [low, high, end] = [least, most, now].map((value) => formatValue(value, unit))
    lines.push(...wrapText(`${one.label}: ${low} to ${high}, last ${end}`, width))
    const line = sparkline(one, width - 2)
    if (line !== '') lines.push(`  ${paint(['cyan'], line)}`)
  }
  return lines
}

function layBars({ caption, unit, bars }: BarChart, { width, paint }: Page): string[] {
  const lines = [paint(['bold'], caption)]
  const labels = Math.min(24, Math.max(...bars.map(({ label }) => lengthOf(label))))
  const longest = Math.max(...bars.map(({ value }) => lengthOf(formatValue(value, unit))))
  const most = Math.max(...bars.map(({ value }) => value))
  for (const { label, value } of bars) {
    const [head = '', ...more] = wrapText(label, labels)
    const bar = barOf(value, most, Math.max(4, width - labels - longest - 4))
    const lead = bar === '' ? '' : `${paint(['cyan'], bar)} `
    lines.push(`${pad(head, labels)}  ${lead}${formatValue(value, unit)}`, ...more)
  }
  return lines
}

function layFinding({ severity, title, detail, remedy, code }: Finding, page: Page): string[] {
  const lines = marked(page, STATUS[severity], `${severity}: ${title}`)
  if (detail !== undefined) lines.push(...hang('  ', detail, page.width))
  if (remedy !== undefined) lines.push(...hang('  → ', remedy, page.width))
  if (code !== undefined) lines.push(...indent(code))
  return lines
}

function marked({ width, paint }: Page, status: Status, text: string): string[] {
  return hang(`${MARK[status]} `, text, width).map((line) => paint(['bold', COLOR[status]], line))
}

/** Text after `lead`, with further lines below its beginning. */
function hang(lead: string, text: string, width: number): string[] {
  const room = Math.max(10, width - lengthOf(lead))
  return wrapText(text, room).map((line, index) =>
    ((index === 0 ? lead : ' '.repeat(lengthOf(lead))) + line).trimEnd(),
  )
}

function indent(code: string): string[] {
  return code.split('\n').map((line) => `    ${line}`.trimEnd())
}

function textTable({ columns, rows }: Table<PlainCell>): Parameters<typeof layTable>[0] {
  return {
    head: columns.map(({ label }) => label),
    rows: rows.map((row) => row.map((cell) => formatValue(cell))),
    align: columns.map(
      ({ align }, i) => align ?? (isNumeric(rows.map((row) => row[i] ?? null)) ? 'right' : 'left'),
    ),
  }
}

const MARK: Readonly<Record<Status, string>> = { good: '✔', warning: '▲', bad: '✖', neutral: '●' }
const COLOR: Readonly<Record<Status, Style>> = {
  good: 'green',
  warning: 'yellow',
  bad: 'red',
  neutral: 'cyan',
}
const STATUS: Readonly<Record<Finding['severity'], Status>> = {
  critical: 'bad',
  warning: 'warning',
  info: 'neutral',
}
