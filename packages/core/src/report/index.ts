export { renderHtml } from './render-html.ts'
export { renderJson, REPORT_SCHEMA_VERSION, reportJsonSchema } from './render-json.ts'
export { renderMarkdown } from './render-markdown.ts'
export { renderTerminal, type RenderTerminalOptions } from './render-terminal.ts'
export type {
  Bar,
  BarChart,
  Block,
  Cell,
  ChartSeries,
  CodeBlock,
  Column,
  Figure,
  Figures,
  Finding,
  Findings,
  Paragraphs,
  PlainCell,
  Report,
  Section,
  Status,
  Table,
  TimeSeriesChart,
  Verdict,
} from './report.ts'
