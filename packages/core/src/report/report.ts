import type { Secret } from '../secret.ts'

/** A value in a table or a figure. A number that is not finite counts as missing, a secret reads `***`. */
export type Cell = PlainCell | Secret<unknown>

/** A {@link Cell} that can be shown as it is; `null` is missing. */
export type PlainCell = string | number | boolean | null

/**
 * What somebody should know about a system at one moment, for a terminal, a program, a Markdown page
 * and a browser alike. All text is plain: markup in it is shown, not obeyed. Secrets in URLs and
 * `password=…` pairs are cut out wherever they stand.
 */
export interface Report<C = Cell> {
  readonly title: string
  /** What was looked at, one line. */
  readonly subtitle?: string
  /** Milliseconds since the epoch. */
  readonly createdAtMs?: number
  readonly verdict?: Verdict
  readonly sections: readonly Section<C>[]
}

/** The result in a sentence. */
export interface Verdict {
  readonly status: Status
  readonly text: string
}

export type Status = 'good' | 'warning' | 'bad' | 'neutral'

export interface Section<C = Cell> {
  readonly title: string
  readonly blocks: readonly Block<C>[]
}

export type Block<C = Cell> =
  | Paragraphs
  | Figures<C>
  | Table<C>
  | TimeSeriesChart
  | BarChart
  | Findings
  | CodeBlock

/** Text; an empty line divides paragraphs. */
export interface Paragraphs {
  readonly type: 'text'
  readonly text: string
}

/** The few numbers that matter. */
export interface Figures<C = Cell> {
  readonly type: 'figures'
  readonly figures: readonly Figure<C>[]
}

export interface Figure<C = Cell> {
  readonly label: string
  readonly value: C
  /** Follows the value, such as `ms` or `%`. */
  readonly unit?: string
  /** What it is measured against, such as `limit 250 ms`. */
  readonly note?: string
  /** @default 'neutral' */
  readonly status?: Status
}

export interface Table<C = Cell> {
  readonly type: 'table'
  readonly caption: string
  readonly columns: readonly Column[]
  /** Each as long as `columns`. */
  readonly rows: readonly (readonly C[])[]
}

export interface Column {
  readonly label: string
  /** @default right if the column holds numbers only, otherwise left */
  readonly align?: 'left' | 'right'
}

/** Lines over time, 8 at most. */
export interface TimeSeriesChart {
  readonly type: 'time-series'
  readonly caption: string
  readonly unit?: string
  /** Milliseconds since the epoch, ascending. */
  readonly timesMs: readonly number[]
  readonly series: readonly ChartSeries[]
}

export interface ChartSeries {
  readonly label: string
  /** One for each time; `null` is a gap. */
  readonly values: readonly (number | null)[]
}

/** One bar for each value, all from zero. */
export interface BarChart {
  readonly type: 'bars'
  readonly caption: string
  readonly unit?: string
  readonly bars: readonly Bar[]
}

export interface Bar {
  readonly label: string
  /** 0 or more. */
  readonly value: number
}

export interface Findings {
  readonly type: 'findings'
  readonly findings: readonly Finding[]
}

/** Something that is worth doing, or knowing. */
export interface Finding {
  readonly severity: 'critical' | 'warning' | 'info'
  readonly title: string
  /** Why it is so, and what it costs. */
  readonly detail?: string
  /** What to do. */
  readonly remedy?: string
  /** To be run or pasted: SQL, a command. */
  readonly code?: string
}

export interface CodeBlock {
  readonly type: 'code'
  readonly code: string
  /** For the reader's highlighter, such as `sql`. */
  readonly language?: string
  readonly caption?: string
}
