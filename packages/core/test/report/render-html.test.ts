import { createHash } from 'node:crypto'
import { renderHtml, type Report } from '@dharma/core/report'
import { expect, test } from 'vitest'
import { sampleReport } from './sample-report.ts'

const html = renderHtml(sampleReport)
const ATTACKS = [
  '<script>alert(1)</script>',
  '</script><script>alert(1)</script>',
  '</style><img src=x onerror=alert(1)>',
  '" onmouseover="alert(1)',
  "' onfocus='alert(1)",
  '`onclick=alert(1)`',
  '<!-- <script>',
  ']]><svg/onload=alert(1)>',
  '&lt;script&gt;',
]

/** The page without what its scripts hold. */
function withoutScripts(page: string): string {
  return page.replaceAll(/(<script\b[^>]*>)[^]*?(<\/script>)/g, '$1$2')
}

/** The elements and attributes of a page, without their values: what markup there is. */
function markupOf(page: string): string[] {
  return Array.from(withoutScripts(page).matchAll(/<[^>]*>/g), ([tag]) =>
    tag.replaceAll(/="[^"]*"/g, ''),
  )
}

function everywhere(text: string): Report {
  return {
    title: text,
    subtitle: text,
    verdict: { status: 'good', text },
    sections: [
      {
        title: text,
        blocks: [
          { type: 'text', text },
          { type: 'figures', figures: [{ label: text, value: text, unit: text, note: text }] },
          { type: 'table', caption: text, columns: [{ label: text }], rows: [[text]] },
          {
            type: 'time-series',
            caption: text,
            unit: text,
            timesMs: [0],
            series: [{ label: text, values: [1] }],
          },
          { type: 'bars', caption: text, unit: text, bars: [{ label: text, value: 1 }] },
          {
            type: 'findings',
            findings: [{ severity: 'info', title: text, detail: text, remedy: text, code: text }],
          },
          { type: 'code', caption: text, code: text, language: text },
        ],
      },
    ],
  }
}

test.each(ATTACKS)('%s is text, wherever it stands', (attack) => {
  const page = renderHtml(everywhere(attack))
  expect(markupOf(page)).toEqual(markupOf(renderHtml(everywhere('harmless'))))
  expect(withoutScripts(page)).not.toContain(attack)
})

test('the data of a chart comes out of its script element as it went in', () => {
  const page = renderHtml(everywhere('</script>\u2028<&>'))
  const [, json = ''] = /<script type="application\/json">([^<]*)<\/script>/.exec(page) ?? []
  expect(JSON.parse(json)).toMatchObject({ unit: '</script>\u2028<&>', times: [0] })
})

test('the page names no other place, but in the licence of uPlot', () => {
  const without = html.replace(/\/\*! https:\/\/github\.com\/leeoniya\/uPlot \(v[\d.]+\) \*\//, '')
  expect(without).not.toBe(html)
  expect(without).not.toMatch(/https?:/)
  expect(without).not.toMatch(/@import|url\(|\bimport\(|\bfetch\(|XMLHttpRequest|WebSocket/)
  expect(markupOf(html).join('')).not.toMatch(/\b(?:src|href|action|srcset|data)\b/)
})

test('its policy allows its own scripts and nothing else', () => {
  const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(html) ?? []
  const scripts = Array.from(
    html.matchAll(/<script>([^]*?)<\/script>/g),
    ([, script = '']) => script,
  )
  expect(scripts).toHaveLength(2)
  const hashes = scripts.map(
    (script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  )
  expect(policy).toBe(
    `default-src 'none'; style-src 'unsafe-inline'; script-src ${hashes.join(' ')}; base-uri 'none'; form-action 'none'`,
  )
})

test('a page without a line chart has no script at all', () => {
  const page = renderHtml({ title: 'T', sections: [] })
  expect(page).toContain("script-src 'none'")
  expect(page).not.toContain('<script')
  expect(page.length).toBeLessThan(10_000)
})

test('tables have captions and headers with a scope, and marks have names', () => {
  expect(html).toContain('<caption>Slowest loaders</caption>')
  expect(html).toContain('<th scope="col" class="right">Calls</th>')
  expect(html).toContain('<th scope="row">productById</th>')
  expect(html).toContain('<span role="img" aria-label="warning">')
  expect(html).toContain('prefers-color-scheme: dark')
  expect(html).toContain('@media print')
})

test('the table below a long chart has 500 rows at most', () => {
  const timesMs = Array.from({ length: 1_201 }, (_, i) => i * 1_000)
  const page = renderHtml({
    title: 'T',
    sections: [
      {
        title: 'S',
        blocks: [
          {
            type: 'time-series',
            caption: 'Long',
            timesMs,
            series: [{ label: 'x', values: timesMs }],
          },
        ],
      },
    ],
  })
  expect(page).toContain('Long, every 3rd value')
  expect(page.match(/<tr>/g)).toHaveLength(1 + 401)
})
