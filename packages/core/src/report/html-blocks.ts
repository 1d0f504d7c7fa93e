import { escapeHtml, scriptJson } from './escape-html.ts'
import { formatTime, formatValue, isNumeric } from './format-value.ts'
import type {
  BarChart,
  Block,
  Figure,
  Finding,
  PlainCell,
  Status,
  Table,
  TimeSeriesChart,
} from './report.ts'

/** One block of a report as HTML. */
export function htmlBlock(block: Block<PlainCell>): string {
  switch (block.type) {
    case 'text':
      return block.text
        .split(/\n\s*\n/)
        .map((one) => `<p>${escapeHtml(one.trim()).replaceAll('\n', '<br>')}</p>`)
        .join('')
    case 'figures':
      return `<dl class="figures">${block.figures.map(htmlFigure).join('')}</dl>`
    case 'table':
      return `<div class="card">${htmlTable(block)}</div>`
    case 'time-series':
      return htmlTimeSeries(block)
    case 'bars':
      return htmlBars(block)
    case 'findings':
      return block.findings.length === 0
        ? '<p>No findings.</p>'
        : `<ul class="findings">${block.findings.map(htmlFinding).join('')}</ul>`
    case 'code': {
      const caption = block.caption === undefined ? '' : `<h3>${escapeHtml(block.caption)}</h3>`
      return `<div class="card">${caption}${htmlCode(block.code)}</div>`
    }
  }
}

/** A mark that is read aloud as what it means. */
export function htmlMark(status: Status): string {
  return `<span role="img" aria-label="${status}">${MARK[status]}</span>`
}

function htmlFigure({ label, value, unit, note, status }: Figure<PlainCell>): string {
  const mark = status === undefined || status === 'neutral' ? '' : ` ${htmlMark(status)}`
  const tone = status === undefined || status === 'neutral' ? '' : ` is-${status}`
  const notes = note === undefined ? '' : `<dd class="note">${escapeHtml(note)}</dd>`
  const shown = escapeHtml(formatValue(value, unit))
  return `<div class="figure"><dt>${escapeHtml(label)}</dt><dd class="value${tone}">${shown}${mark}</dd>${notes}</div>`
}

function htmlTable({ caption, columns, rows }: Table<PlainCell>): string {
  const classes = columns.map(({ align }, i) => {
    const isRight =
      align === undefined ? isNumeric(rows.map((row) => row[i] ?? null)) : align === 'right'
    return isRight ? ' class="right"' : ''
  })
  const head = columns.map(
    ({ label }, i) => `<th scope="col"${classes[i]}>${escapeHtml(label)}</th>`,
  )
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => {
      const text = escapeHtml(formatValue(cell))
      return i === 0 ? `<th scope="row"${classes[i]}>${text}</th>` : `<td${classes[i]}>${text}</td>`
    })
    return `<tr>${cells.join('')}</tr>`
  })
  return scrollable(
    caption,
    `<table><caption>${escapeHtml(caption)}</caption><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`,
  )
}

/** The chart is for the eye; the numbers are in a table that opens below it. */
function htmlTimeSeries({ caption, unit, timesMs, series }: TimeSeriesChart): string {
  const data = {
    unit,
    times: timesMs.map((time) => time / 1000),
    series,
  }
  const step = Math.max(1, Math.ceil(timesMs.length / MOST_ROWS))
  const table = htmlTable({
    type: 'table',
    caption: step === 1 ? caption : `${caption}, every ${ordinal(step)} value`,
    columns: [{ label: 'Time' }, ...series.map(({ label }) => ({ label }))],
    rows: timesMs.flatMap((time, i) =>
      i % step === 0 ? [[formatTime(time), ...series.map(({ values }) => values[i] ?? null)]] : [],
    ),
  })
  const note = unit === undefined ? 'Times in UTC' : `${unit}, times in UTC`
  return [
    `<figure class="card" style="margin-inline:0"><figcaption><h3>${escapeHtml(caption)}</h3>`,
    `<p class="note-line">${escapeHtml(note)}</p></figcaption>`,
    `<div class="chart" role="img" aria-label="${escapeHtml(caption)}: line chart, its numbers are in the table below"></div>`,
    `<script type="application/json">${scriptJson(data)}</script>`,
    `<details><summary>Numbers</summary>${table}</details></figure>`,
  ].join('')
}

function htmlBars({ caption, unit, bars }: BarChart): string {
  const most = Math.max(0, ...bars.map(({ value }) => value))
  const rows = bars.map(({ label, value }) => {
    const share = most === 0 ? 0 : (value / most) * 100
    const bar = `<span class="bar" style="width:${share.toFixed(2)}%"></span>`
    return `<tr><th scope="row">${escapeHtml(label)}</th><td class="track" aria-hidden="true">${value > 0 ? bar : ''}</td><td class="right">${escapeHtml(formatValue(value, unit))}</td></tr>`
  })
  return `<div class="card">${scrollable(caption, `<table class="bars"><caption>${escapeHtml(caption)}</caption><tbody>${rows.join('')}</tbody></table>`)}</div>`
}

function htmlFinding({ severity, title, detail, remedy, code }: Finding): string {
  const tone = TONE[severity]
  return [
    `<li class="card is-${tone}"><h3><span class="tag soft is-${tone}">${severity}</span>`,
    `<span>${escapeHtml(title)}</span></h3>`,
    detail === undefined ? '' : `<p>${escapeHtml(detail)}</p>`,
    remedy === undefined ? '' : `<p><strong>Remedy:</strong> ${escapeHtml(remedy)}</p>`,
    code === undefined ? '' : htmlCode(code),
    '</li>',
  ].join('')
}

function htmlCode(code: string): string {
  return `<pre tabindex="0"><code>${escapeHtml(code)}</code></pre>`
}

/** What may be wider than the page can be scrolled by keyboard, so it has a name. */
function scrollable(name: string, html: string): string {
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(name)}">${html}</div>`
}

function ordinal(count: number): string {
  const ending = { one: 'st', two: 'nd', few: 'rd' } as Readonly<Record<string, string>>
  return `${count}${ending[ORDINALS.select(count)] ?? 'th'}`
}

const ORDINALS = new Intl.PluralRules('en', { type: 'ordinal' })
const MOST_ROWS = 500
const MARK: Readonly<Record<Status, string>> = { good: '✔', warning: '▲', bad: '✖', neutral: '●' }
const TONE: Readonly<Record<Finding['severity'], Status>> = {
  critical: 'bad',
  warning: 'warning',
  info: 'neutral',
}
