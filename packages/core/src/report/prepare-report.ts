import { redactText } from '../redact.ts'
import { Secret } from '../secret.ts'
import type { Block, PlainCell, Report } from './report.ts'

/** A report that can be shown as it is. */
export type PlainReport = Report<PlainCell>

/**
 * The report without secrets, control characters and numbers that are not finite, as a copy.
 * @throws RangeError naming the block, when rows, values or series do not fit it.
 */
export function prepareReport(report: Report): PlainReport {
  const plain = toPlain(report) as PlainReport
  for (const section of plain.sections) {
    for (const block of section.blocks) checkBlock(block, section.title)
  }
  return plain
}

function toPlain(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value).replaceAll(UNSHOWABLE, '\u{fffd}')
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (value instanceof Secret) return String(value)
  if (Array.isArray(value)) return value.map(toPlain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([key, one]) => [key, toPlain(one)]),
  )
}

function checkBlock(block: Block<PlainCell>, section: string): void {
  const refuse = (rule: string): never => {
    throw new RangeError(`${block.type} in section '${section}' ${rule}`)
  }
  if (block.type === 'table') {
    const width = block.columns.length
    const odd = block.rows.find((row) => row.length !== width)
    if (odd !== undefined) refuse(`must have ${width} cells in each row, got ${odd.length}`)
  }
  if (block.type === 'time-series') {
    const { timesMs, series } = block
    if (series.length > MOST_SERIES) refuse(`may have ${MOST_SERIES} series, got ${series.length}`)
    if (!timesMs.every((time, i) => time !== null && time >= (timesMs[i - 1] ?? time))) {
      refuse('must have ascending times')
    }
    const odd = series.find(({ values }) => values.length !== timesMs.length)
    if (odd !== undefined) {
      refuse(`must have ${timesMs.length} values in each series, got ${odd.values.length}`)
    }
  }
  if (block.type === 'bars') {
    const odd = block.bars.find(({ value }) => !(value !== null && value >= 0))
    if (odd !== undefined) refuse(`must have bars of 0 or more, got ${odd.value}`)
  }
}

const MOST_SERIES = 8

/**
 * Control characters but tab and newline, which could move the cursor or colour a terminal, and those
 * that turn the direction of writing, which could show code as what it is not (CVE-2021-42574).
 */
const UNSHOWABLE = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
