import { defaultsInWords } from './default-text.ts'
import type { ConfigDefinition, ConfigLeaf } from './define-config.ts'

/** A Markdown table of every value: variable, what it takes, default, meaning. Holds no secret. */
export function generateMarkdownTable(definitions: readonly ConfigDefinition[]): string {
  const rows = definitions.flatMap(({ leaves }) => leaves.map(row))
  return `${['| Path | Variable | Value | Default | Meaning |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')}\n`
}

function row(leaf: ConfigLeaf): string {
  const { path, variable, field } = leaf
  const value = field.kind.expected + (field.kind.isSecret ? ' (secret)' : '')
  const cells = [
    code(path),
    code(variable),
    cell(value),
    defaultsInWords(leaf, code),
    cell(field.description ?? ''),
  ]
  return `| ${cells.join(' | ')} |`
}

/** A code span with a fence longer than any run of backticks inside. */
function code(text: string): string {
  const runs = text.match(/`+/g) ?? []
  const fence = '`'.repeat(Math.max(0, ...runs.map((run) => run.length)) + 1)
  const padding = runs.length > 0 ? ' ' : ''
  return fence + padding + cell(text) + padding + fence
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', String.raw`\|`)
}
