import { Secret } from '@dharma/core'
import {
  renderHtml,
  renderJson,
  renderMarkdown,
  renderTerminal,
  reportJsonSchema,
  type Block,
  type Report,
} from '@dharma/core/report'
import fc from 'fast-check'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { sampleReport } from './sample-report.ts'

const FACES = {
  terminal: renderTerminal,
  json: renderJson,
  markdown: renderMarkdown,
  html: renderHtml,
}

function withBlock(block: Block): Report {
  return { title: 'T', sections: [{ title: 'S', blocks: [block] }] }
}

/** A report that has the text wherever text can stand. */
function everywhere(text: string): Report {
  return {
    title: text,
    subtitle: text,
    verdict: { status: 'bad', text },
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

describe.each(Object.entries(FACES))('every face: %s', (_, render) => {
  test('shows no secret', () => {
    expect(render(sampleReport)).not.toContain('canary')
    const texts = [
      'redis://user:canary@h',
      'password=canary',
      'Authorization: Bearer canary',
      String.raw`{"token":"a\"canary"}`,
      String.raw`{\"api_key\": \"canary\"}`,
      "pwd: 'it\\'s canary'",
      'passphrase = canary',
    ]
    for (const text of texts) expect(render(everywhere(text))).not.toContain('canary')
    const secret = new Secret({ deep: 'canary' })
    const table = {
      type: 'table',
      caption: '',
      columns: [{ label: '' }],
      rows: [[secret]],
    } as const
    expect(render(withBlock(table))).not.toContain('canary')
  })

  test('does not let text move the cursor, colour, or turn the direction of writing', () => {
    const shown = render(everywhere('a\u001b[31m\u0007\u202eb'))
    for (const one of '\u001b\u0007\u202e') expect(shown).not.toContain(one)
    expect(shown).toContain('a\u{fffd}')
  })

  test('takes a report without anything', () => {
    const empty: Report = {
      title: 'Empty',
      sections: [
        {
          title: 'Nothing',
          blocks: [
            { type: 'text', text: '' },
            { type: 'figures', figures: [] },
            { type: 'table', caption: 'None', columns: [], rows: [] },
            {
              type: 'time-series',
              caption: 'None',
              timesMs: [],
              series: [{ label: 'x', values: [] }],
            },
            { type: 'bars', caption: 'None', bars: [] },
            { type: 'bars', caption: 'Zero', bars: [{ label: 'x', value: 0 }] },
            { type: 'findings', findings: [] },
            { type: 'code', code: '' },
          ],
        },
      ],
    }
    expect(render(empty)).toContain('Nothing')
    const shown = render(empty).replaceAll(/<script>[^]*?<\/script>/g, '')
    expect(shown).not.toMatch(/Infinity|NaN|undefined/)
  })

  test.each<[Block, string]>([
    [
      { type: 'table', caption: 'c', columns: [{ label: 'a' }], rows: [[1], [1, 2]] },
      "table in section 'S' must have 1 cells in each row, got 2",
    ],
    [
      { type: 'time-series', caption: 'c', timesMs: [1, 2], series: [{ label: 'a', values: [1] }] },
      "time-series in section 'S' must have 2 values in each series, got 1",
    ],
    [
      { type: 'time-series', caption: 'c', timesMs: [2, 1], series: [] },
      "time-series in section 'S' must have ascending times",
    ],
    [
      {
        type: 'time-series',
        caption: 'c',
        timesMs: [],
        series: Array.from({ length: 9 }, () => ({ label: 'a', values: [] })),
      },
      "time-series in section 'S' may have 8 series, got 9",
    ],
    [
      { type: 'bars', caption: 'c', bars: [{ label: 'a', value: -1 }] },
      "bars in section 'S' must have bars of 0 or more, got -1",
    ],
  ])('refuses what does not fit: %#', (block, message) => {
    expect(() => render(withBlock(block))).toThrow(new RangeError(message))
  })
})

describe('renderTerminal', () => {
  test('fits 80 columns', async () => {
    await expect(renderTerminal(sampleReport)).toMatchFileSnapshot('sample-terminal.txt')
  })

  test('colours only when told to, and says the same', () => {
    const colored = renderTerminal(sampleReport, { isColored: true })
    expect(colored).toContain('\u001b[')
    expect(stripVTControlCharacters(colored)).toBe(renderTerminal(sampleReport))
  })

  test('keeps every line but code within the width, whatever the text', () => {
    const block = fc.oneof(
      fc.record({ type: fc.constant('text' as const), text: fc.string({ maxLength: 200 }) }),
      fc.record({
        type: fc.constant('findings' as const),
        findings: fc.array(
          fc.record({
            severity: fc.constant('info' as const),
            title: fc.string(),
            remedy: fc.string(),
          }),
        ),
      }),
      fc.record({
        type: fc.constant('table' as const),
        caption: fc.constant('caption'),
        columns: fc.constant([{ label: 'one' }, { label: 'two' }, { label: 'three' }]),
        rows: fc.array(
          fc.tuple(fc.string({ maxLength: 90, size: 'max' }), fc.double(), fc.string()),
        ),
      }),
      fc.record({
        type: fc.constant('bars' as const),
        caption: fc.constant('caption'),
        bars: fc.array(fc.record({ label: fc.string(), value: fc.nat() })),
      }),
    )
    fc.assert(
      fc.property(block, fc.integer({ min: 40, max: 120 }), (one, width) => {
        for (const line of renderTerminal(withBlock(one), { width }).split('\n')) {
          expect(Array.from(line).length).toBeLessThanOrEqual(width)
        }
      }),
    )
  })

  test('wraps the widest column of a table that is too wide', () => {
    const shown = renderTerminal(
      withBlock({
        type: 'table',
        caption: 'Wide',
        columns: [{ label: 'Name' }, { label: 'What it says' }, { label: 'Count' }],
        rows: [['first', 'a text of several words that needs three lines', 12]],
      }),
      { width: 40 },
    )
    expect(shown.split('\n').slice(-6, -1)).toEqual([
      'Wide',
      'Name   What it says                Count',
      '─────  ──────────────────────────  ─────',
      'first  a text of several words        12',
      '       that needs three lines',
    ])
  })

  test('refuses a width that is too small', () => {
    expect(() => renderTerminal(sampleReport, { width: 20 })).toThrow(
      new RangeError('width must be a whole number of at least 40, got 20'),
    )
  })
})

describe('renderMarkdown', () => {
  test('writes GitHub Flavored Markdown', async () => {
    await expect(renderMarkdown(sampleReport)).toMatchFileSnapshot('sample-markdown.txt')
  })

  test('shows markup instead of obeying it', () => {
    const shown = renderMarkdown(
      withBlock({ type: 'text', text: '# <b>*a*</b> [x](y) | `c`\n1. one\n- two' }),
    )
    expect(shown).toContain(
      '\\# &lt;b&gt;\\*a\\*&lt;/b&gt; \\[x\\](y) \\| \\`c\\`\n1\\. one\n\\- two',
    )
  })

  test('text in a table stays in its cell', () => {
    const shown = renderMarkdown(
      withBlock({ type: 'table', caption: 'c', columns: [{ label: 'a' }], rows: [['x | y\nz']] }),
    )
    expect(shown).toContain('| x \\| y z |')
  })
})

describe('renderJson', () => {
  const schema = z.fromJSONSchema(reportJsonSchema())

  test('is as its schema says', () => {
    const json = JSON.parse(renderJson(sampleReport)) as Record<string, unknown>
    expect(json['schemaVersion']).toBe(1)
    expect(schema.safeParse(json)).toMatchObject({ success: true })
    expect(schema.safeParse(JSON.parse(renderJson(everywhere('x'))))).toMatchObject({
      success: true,
    })
  })

  test('the schema refuses what is not a report', () => {
    for (const change of [
      { schemaVersion: 2 },
      { title: 1 },
      { sections: [{ title: 'x' }] },
      { more: 1 },
    ]) {
      const json = { ...(JSON.parse(renderJson(sampleReport)) as object), ...change }
      expect(schema.safeParse(json).success).toBe(false)
    }
  })

  test('numbers that are not finite are null', () => {
    const figures = [Number.NaN, Infinity].map((value) => ({ label: 'x', value }))
    expect(
      renderJson(withBlock({ type: 'figures', figures })).match(/"value": null/g),
    ).toHaveLength(2)
  })
})
