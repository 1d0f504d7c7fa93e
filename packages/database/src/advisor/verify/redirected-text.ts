import type { AnalyzedEntry } from '../candidates/constants.ts'
import type { TableFacts } from '../catalog/catalog.ts'

const NAME = '(?:[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*|"(?:[^"]|"")+")'
const TABLE = new RegExp(`${NAME}(?:\\s*\\.\\s*${NAME}){0,2}`, 'y')

/** The text of a statement that reads other tables in place of those for which `nameOf` has one. */
export function withTables(
  { entry, shape }: AnalyzedEntry,
  nameOf: (table: TableFacts) => string | undefined,
): string {
  const bytes = Buffer.from(entry.text)
  let text = entry.text
  // From behind, so that positions before it stay.
  for (const mention of shape.mentions.toSorted((a, b) => b.location - a.location)) {
    const name = nameOf(mention.table)
    if (name === undefined) continue
    const start = bytes.subarray(0, mention.location).toString().length
    TABLE.lastIndex = start
    const written = TABLE.exec(text)?.[0] ?? ''
    const alias = mention.hasAlias ? '' : ` as ${written.split('.').at(-1)?.trim()}`
    text = text.slice(0, start) + name + alias + text.slice(start + written.length)
  }
  return text
}
