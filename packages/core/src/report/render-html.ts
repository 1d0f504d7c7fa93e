import { createHash } from 'node:crypto'
import { escapeHtml } from './escape-html.ts'
import { htmlBlock, htmlMark } from './html-blocks.ts'
import { CHART_SCRIPT } from './html-charts.ts'
import { PAGE_STYLE } from './html-style.ts'
import { formatTime } from './format-value.ts'
import { prepareReport, type PlainReport } from './prepare-report.ts'
import type { Report } from './report.ts'
import { uplotAssets } from './uplot-assets.ts'

/**
 * The report as one HTML file that needs nothing else: it opens from a disk or a mail, in light and
 * dark, on paper, and its policy forbids every request and every script but its own. With a line
 * chart it has uPlot inside, 53 kB.
 */
export function renderHtml(report: Report): string {
  const plain = prepareReport(report)
  const hasCharts = plain.sections.some(({ blocks }) =>
    blocks.some(({ type }) => type === 'time-series'),
  )
  const { script, style } = hasCharts ? uplotAssets() : { script: '', style: '' }
  const scripts = hasCharts ? [script, CHART_SCRIPT] : []
  const sources = scripts.length === 0 ? "'none'" : scripts.map(hashSource).join(' ')
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src ${sources}; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(plain.title)}</title>
<style>${style}${PAGE_STYLE}</style>
</head>
<body>
<main>
${htmlHeader(plain)}
${plain.sections.map(htmlSection).join('\n')}
</main>
${scripts.map((one) => `<script>${one}</script>`).join('\n')}
</body>
</html>
`
}

function htmlHeader({ title, subtitle, createdAtMs, verdict }: PlainReport): string {
  const about = [
    subtitle === undefined ? undefined : escapeHtml(subtitle),
    createdAtMs === undefined
      ? undefined
      : `<time datetime="${new Date(createdAtMs).toISOString()}">${formatTime(createdAtMs)}</time>`,
  ].filter((one) => one !== undefined)
  const aboutLine = about.length === 0 ? '' : `<p class="about">${about.join(' · ')}</p>`
  const verdictLine =
    verdict === undefined
      ? ''
      : `<p class="verdict soft is-${verdict.status}">${htmlMark(verdict.status)}<span>${escapeHtml(verdict.text)}</span></p>`
  return `<header><h1>${escapeHtml(title)}</h1>${aboutLine}${verdictLine}</header>`
}

function htmlSection({ title, blocks }: PlainReport['sections'][number]): string {
  return `<section><h2>${escapeHtml(title)}</h2>\n${blocks.map(htmlBlock).join('\n')}\n</section>`
}

function hashSource(script: string): string {
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`
}
