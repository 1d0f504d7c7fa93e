import type { ExpositionFormat } from '../metrics.ts'
import type { Exemplar, Exemplars } from './exemplars.ts'
import { escapeHelp, labelText, numberText } from './label-text.ts'
import type { AnyFamily, HistogramFamily, LabelledSeries } from './metric-family.ts'
import type { HistogramSeries } from './histogram-series.ts'
import type { RegistryMetric, RegistryValue } from './prometheus-registry.ts'

/** How text is written: the format, and labels that each line has unless it has its own. */
export interface ExpositionStyle {
  readonly format: ExpositionFormat
  readonly defaultLabels: Readonly<Record<string, string>>
}

/** A metric of ours as text, each line ended. */
export function writeFamily(family: AnyFamily, style: ExpositionStyle): string {
  const { name, help, labels } = family.definition
  const fixed = Object.entries(style.defaultLabels).filter(([label]) => !labels.includes(label))
  const fixedText = labelText(fixed)
  let text = header(name, help, family.kind, style.format)
  switch (family.kind) {
    case 'counter':
      for (const one of family.all()) {
        const exemplar = exemplarText(one.series.exemplars, 0, style.format)
        const value = numberText(one.series.value)
        text += `${name}${braces(join(one.labelText, fixedText))} ${value}${exemplar}\n`
      }
      return text
    case 'gauge':
      for (const one of family.all()) {
        const value = one.series.sample()
        if (value === undefined) continue
        text += `${name}${braces(join(one.labelText, fixedText))} ${numberText(value)}\n`
      }
      return text
    case 'histogram':
      for (const one of family.all()) text += histogramLines(family, one, fixedText, style)
      return text
  }
}

/** A metric of the registry's owner as text, each line ended. */
export function writeForeign(metric: RegistryMetric, style: ExpositionStyle): string {
  const isOpenCounter = style.format === 'openmetrics' && metric.type === 'counter'
  let text = header(metric.name, metric.help, metric.type, style.format)
  for (const value of metric.values) {
    const own = value.metricName ?? metric.name
    const name = isOpenCounter ? `${own.replace(/_total$/, '')}_total` : own
    const labels = { ...style.defaultLabels, ...value.sharedLabels, ...value.labels }
    const pairs = Object.entries(labels).map(([key, one]) => [key, String(one)] as const)
    text += `${name}${braces(labelText(pairs))} ${numberText(value.value)}`
    text += `${foreignExemplar(value, style.format)}\n`
  }
  return text
}

function header(name: string, help: string, type: string, format: ExpositionFormat): string {
  const isOpen = format === 'openmetrics'
  // In OpenMetrics a counter's family has no _total, its samples have.
  const family = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
  return `# HELP ${family} ${escapeHelp(help, isOpen)}\n# TYPE ${family} ${type}\n`
}

function histogramLines(
  { name, layout, boundTexts }: HistogramFamily,
  { labelText: own, series }: LabelledSeries<HistogramSeries>,
  fixed: string,
  { format }: ExpositionStyle,
): string {
  const labels = join(own, fixed)
  const counts = layout.cumulativeCounts(series.cells())
  const start = `${name}_bucket{${labels}${labels === '' ? '' : ','}`
  const next = `\n${start}`
  let text = start + boundTexts[0] + counts[0] + exemplarText(series.exemplars, 0, format)
  for (let i = 1; i < counts.length; i++) {
    text += next + boundTexts[i] + counts[i]
    if (series.exemplars !== undefined) text += exemplarText(series.exemplars, i, format)
  }
  const set = braces(labels)
  return `${text}\n${name}_sum${set} ${numberText(series.sum)}\n${name}_count${set} ${counts.at(-1)}\n`
}

function exemplarText(
  exemplars: Exemplars | undefined,
  bucket: number,
  format: ExpositionFormat,
): string {
  if (exemplars === undefined || format !== 'openmetrics') return ''
  const exemplar: Exemplar | undefined = exemplars.at(bucket)
  if (exemplar === undefined) return ''
  const { labels, value, timestampSeconds } = exemplar
  return ` # {${labelText(Object.entries(labels))}} ${numberText(value)} ${timestampSeconds}`
}

function foreignExemplar({ exemplar }: RegistryValue, format: ExpositionFormat): string {
  if (format !== 'openmetrics' || exemplar === undefined || exemplar === null) return ''
  const pairs = Object.entries(exemplar.labelSet).map(([key, one]) => [key, String(one)] as const)
  return ` # {${labelText(pairs)}} ${numberText(exemplar.value)} ${exemplar.timestamp}`
}

function join(one: string, other: string): string {
  return one === '' || other === '' ? one + other : `${one},${other}`
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}
