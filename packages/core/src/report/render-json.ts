import { z } from 'zod'
import { prepareReport } from './prepare-report.ts'
import type { Report } from './report.ts'

/** Raised when a reader of older reports would misread newer ones. */
export const REPORT_SCHEMA_VERSION = 1

/** The report for programs: one JSON object with `schemaVersion`, as {@link reportJsonSchema} has it. */
export function renderJson(report: Report): string {
  return `${JSON.stringify({ schemaVersion: REPORT_SCHEMA_VERSION, ...prepareReport(report) }, null, 2)}\n`
}

/** The JSON Schema (draft 2020-12) of what {@link renderJson} writes. */
export function reportJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(reportSchema()), title: 'Dharma report' }
}

function reportSchema(): z.ZodType {
  const text = z.string()
  const cell = z.union([text, z.number(), z.boolean(), z.null()])
  const status = z.enum(['good', 'warning', 'bad', 'neutral'])
  const optional = text.optional()
  const figure = z.strictObject({
    label: text,
    value: cell,
    unit: optional,
    note: optional,
    status: status.optional(),
  })
  const finding = z.strictObject({
    severity: z.enum(['critical', 'warning', 'info']),
    title: text,
    detail: optional,
    remedy: optional,
    code: optional,
  })
  const column = z.strictObject({ label: text, align: z.enum(['left', 'right']).optional() })
  const series = z.strictObject({ label: text, values: z.array(z.number().nullable()) })
  const block = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('text'), text }),
    z.strictObject({ type: z.literal('figures'), figures: z.array(figure) }),
    z.strictObject({
      type: z.literal('table'),
      caption: text,
      columns: z.array(column),
      rows: z.array(z.array(cell)),
    }),
    z.strictObject({
      type: z.literal('time-series'),
      caption: text,
      unit: optional,
      timesMs: z.array(z.number()),
      series: z.array(series),
    }),
    z.strictObject({
      type: z.literal('bars'),
      caption: text,
      unit: optional,
      bars: z.array(z.strictObject({ label: text, value: z.number().min(0) })),
    }),
    z.strictObject({ type: z.literal('findings'), findings: z.array(finding) }),
    z.strictObject({ type: z.literal('code'), code: text, language: optional, caption: optional }),
  ])
  return z.strictObject({
    schemaVersion: z.literal(REPORT_SCHEMA_VERSION),
    title: text,
    subtitle: optional,
    createdAtMs: z.number().optional(),
    verdict: z.strictObject({ status, text }).optional(),
    sections: z.array(z.strictObject({ title: text, blocks: z.array(block) })),
  })
}
