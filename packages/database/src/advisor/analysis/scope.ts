import type { SqlNode } from '../../sql/index.ts'
import type { TableFacts } from '../catalog/catalog.ts'
import { partsOf } from './node-access.ts'
import type { Key, TableUse } from './statement-shape.ts'

/** What is in FROM: tables, and the names of what is none, such as a CTE. */
export class Scope {
  readonly uses: TableUse[] = []
  readonly #others = new Set<string>()
  readonly #parent: Scope | undefined
  readonly #ctes: Set<string>

  constructor(parent: Scope | undefined) {
    this.#parent = parent
    this.#ctes = new Set(parent === undefined ? [] : parent.#ctes)
  }

  addCte(name: string): void {
    this.#ctes.add(name)
  }

  hasCte(name: string): boolean {
    return this.#ctes.has(name)
  }

  addOther(alias: string): void {
    this.#others.add(alias)
  }

  addTable(table: TableFacts, alias: string): TableUse {
    const use: TableUse = {
      table,
      alias,
      predicates: [],
      ors: [],
      sort: [],
      group: [],
      columns: new Set(),
      isStar: false,
      hasLimit: false,
    }
    this.uses.push(use)
    return use
  }

  /** The table of this query, not of one around it. */
  owns(use: TableUse): boolean {
    return this.uses.includes(use)
  }

  /** A column by its name, of this query or of those around it; notes that it is read. */
  column(node: SqlNode): Key | undefined {
    if (!('ColumnRef' in node)) return undefined
    const parts = partsOf(node.ColumnRef.fields)
    const name = parts.at(-1) ?? ''
    if (name === '*') return undefined
    return this.#find(name, parts.at(-2), parts.at(-3))
  }

  /** Notes a `*` or `t.*`. */
  star(parts: readonly string[]): void {
    const alias = parts.at(-2)
    for (const use of this.uses) if (alias === undefined || use.alias === alias) use.isStar = true
  }

  #find(name: string, alias: string | undefined, schema: string | undefined): Key | undefined {
    for (const use of this.uses) {
      if (alias !== undefined && use.alias !== alias) continue
      if (schema !== undefined && use.table.schema !== schema) continue
      const column = use.table.columns.get(name)
      if (column === undefined) continue
      use.columns.add(name)
      return { use, sql: column.quoted, column, columns: [column] }
    }
    if (alias !== undefined && this.#others.has(alias)) return undefined
    return this.#parent === undefined ? undefined : this.#parent.#find(name, alias, schema)
  }
}
