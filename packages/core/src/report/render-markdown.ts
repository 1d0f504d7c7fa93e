import { barOf, sparkline, summarize } from './chart-summary.ts'
import { formatTime, formatValue, isNumeric } from './format-value.ts'
import { prepareReport } from './prepare-report.ts'
import type { Block, Finding, PlainCell, Report, Status } from './report.ts'

/** The report as a page of GitHub Flavored Markdown. Charts become tables with small bars and lines. */
export function renderMarkdown(report: Report): string {
  const { title, subtitle, createdAtMs, verdict, sections } = prepareReport(report)
  const about = [
    subtitle === undefined ? undefined : inline(subtitle),
    createdAtMs === undefined ? undefined : formatTime(createdAtMs),
  ]
  const parts = [`# ${inline(title)}`, about.filter((one) => one !== undefined).join(' · ')]
  if (verdict !== undefined) parts.push(`> ${MARK[verdict.status]} **${inline(verdict.text)}**`)
  for (const section of sections) {
    parts.push(`## ${inline(section.title)}`, ...section.blocks.map(writeBlock))
  }
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function writeBlock(block: Block<PlainCell>): string {
  switch (block.type) {
    case 'text':
      return block.text
        .split(/\n\s*\n/)
        .map(paragraph)
        .join('\n\n')
    case 'figures':
      return writeTable(
        ['', 'Value', 'Note'],
        block.figures.map(({ label, value, unit, note, status }) => [
          label,
          formatValue(value, unit),
          [status === undefined ? '' : MARK[status], note ?? ''].join(' ').trim(),
        ]),
        [false, true, false],
      )
    case 'table': {
      const { caption, columns, rows } = block
      const isRight = columns.map(({ align }, i) =>
        align === undefined ? isNumeric(rows.map((row) => row[i] ?? null)) : align === 'right',
      )
      const cells = rows.map((row) => row.map((cell) => formatValue(cell)))
      const table = writeTable(
        columns.map(({ label }) => label),
        cells,
        isRight,
      )
      return `**${inline(caption)}**\n\n${table}`
    }
    case 'time-series': {
      const { caption, unit, series } = block
      const rows = series.map((one) => {
        const { least, most, last } = summarize(one)
        const [low, high, now] = [least, most, last].map((value) => formatValue(value, unit))
        return [one.label, low ?? '', high ?? '', now ?? '', sparkline(one, 32)]
      })
      const head = ['', 'Least', 'Most', 'Last', 'Course']
      return `**${inline(caption)}**\n\n${writeTable(head, rows, [false, true, true, true, false])}`
    }
    case 'bars': {
      const { caption, unit, bars } = block
      const most = Math.max(...bars.map(({ value }) => value))
      const rows = bars.map(({ label, value }) => [
        label,
        formatValue(value, unit),
        barOf(value, most, 24),
      ])
      return `**${inline(caption)}**\n\n${writeTable(['', 'Value', ''], rows, [false, true, false])}`
    }
    case 'findings':
      return block.findings.length === 0
        ? 'No findings.'
        : block.findings.map(writeFinding).join('\n')
    case 'code': {
      const caption = block.caption === undefined ? '' : `**${inline(block.caption)}**\n\n`
      return caption + fence(block.code, block.language)
    }
  }
}

function writeFinding({ severity, title, detail, remedy, code }: Finding): string {
  const parts = [`**${severity}: ${inline(title)}**`]
  if (detail !== undefined) parts.push(inline(detail))
  if (remedy !== undefined) parts.push(`→ ${inline(remedy)}`)
  const lines = parts.join('\\\n')
  const text = code === undefined ? lines : `${lines}\n\n${fence(code, undefined)}`
  return `- ${text.replaceAll(/\n(?!\n|$)/g, '\n  ')}`
}

function writeTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  isRight: readonly boolean[],
): string {
  return [
    tableRow(head),
    `| ${head.map((_, i) => (isRight[i] === true ? '---:' : '---')).join(' | ')} |`,
    ...rows.map(tableRow),
  ].join('\n')
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.map(inline).join(' | ')} |`
}

/** Longer than any run of backticks in the code. */
function fence(code: string, language: string | undefined): string {
  const runs = Array.from(code.matchAll(/`+/g), ([run]) => run.length)
  const ticks = '`'.repeat(Math.max(2, ...runs) + 1)
  const name = language !== undefined && /^[\w+-]+$/.test(language) ? language : ''
  return `${ticks}${name}\n${code}\n${ticks}`
}

function paragraph(text: string): string {
  return text.split('\n').map(inline).join('\n')
}

/** One line in which nothing is markup. */
function inline(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[\\`*_[\]|~$]/g, String.raw`\$&`)
    .replace(/^(?:[-+=#]|\d+(?=[.)](?:\s|$)))/, (start) =>
      /^\d/.test(start) ? `${start}\\` : `\\${start}`,
    )
}

const MARK: Readonly<Record<Status, string>> = {
  good: '✅',
  warning: '⚠️',
  bad: '❌',
  neutral: 'ℹ️',
}
