import type { AdvisorSession } from '../advisor-session.ts'
import { COLUMNS, INDEXES, SERVER, TABLES } from './catalog-queries.ts'

/** A column and what ANALYZE has found of it. */
export interface ColumnFacts {
  readonly name: string
  /** As SQL writes it. */
  readonly quoted: string
  readonly type: string
  readonly baseType: string
  /** PostgreSQL's category of the type: `N` numbers, `S` strings, `D` times, `A` arrays, `B` booleans, … */
  readonly category: string
  readonly isNotNull: boolean
  readonly isCCollation: boolean
  readonly nullFraction: number
  /** Different values, as many as there are or, below 0, as a part of the rows. */
  readonly distinct: number
  readonly width: number
  readonly correlation: number
  readonly commonValues: readonly string[]
  readonly commonFrequencies: readonly number[]
  readonly bounds: readonly string[]
  readonly hasStatistics: boolean
}

/** An index that is there. */
export interface IndexFacts {
  readonly name: string
  readonly quoted: string
  readonly method: string
  readonly definition: string
  readonly keyCount: number
  readonly keys: readonly string[]
  readonly classes: readonly string[]
  readonly options: readonly number[]
  readonly predicate: string | null
  readonly isUnique: boolean
  /** Whether a constraint or the replication needs it. */
  readonly isConstraint: boolean
  readonly isValid: boolean
  readonly isInProgress: boolean
  readonly scans: number
  readonly sizeBytes: number
}

/** A table and what was written to it since the statistics began. */
export interface TableFacts {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** Schema and name as SQL writes them. */
  readonly quoted: string
  readonly rows: number
  readonly pages: number
  readonly isPartitioned: boolean
  readonly inserts: number
  readonly updates: number
  readonly hotUpdates: number
  readonly deletes: number
  readonly columns: ReadonlyMap<string, ColumnFacts>
  readonly indexes: readonly IndexFacts[]
}

/** What the server as a whole says. */
export interface ServerFacts {
  readonly version: number
  readonly hasHypopg: boolean
  readonly hasTrigram: boolean
  readonly canHaveTrigram: boolean
  /** Since when the counters of reads and writes count. */
  readonly statisticsSeconds: number
}

type TableRow = Omit<TableFacts, 'columns' | 'indexes'> & { readonly pathPosition: number }
type Of<Facts> = Facts & { readonly tableOid: string }

/** Tables, columns, indexes and statistics of a database, as they were when it was read. */
export class Catalog {
  readonly server: ServerFacts
  readonly tables: readonly TableFacts[]
  readonly #byName = new Map<string, TableFacts>()

  private constructor(server: ServerFacts, tables: readonly (TableFacts & TableRow)[]) {
    this.server = server
    this.tables = tables
    // The first in the search path comes last, and stays.
    for (const table of tables.toSorted((a, b) => b.pathPosition - a.pathPosition)) {
      this.#byName.set(keyOf(table.schema, table.name), table)
      if (table.pathPosition < 1_000) this.#byName.set(keyOf(undefined, table.name), table)
    }
  }

  static async read(session: AdvisorSession): Promise<Catalog> {
    const { rows: server } = await session.query<ServerFacts>(SERVER)
    const { rows: tables } = await session.query<TableRow>(TABLES)
    const oids = [tables.map(({ oid }) => oid)]
    const columns = (await session.query<Of<ColumnFacts>>(COLUMNS, oids)).rows
    const indexes = (await session.query<Of<IndexFacts>>(INDEXES, oids)).rows
    const columnsOf = Map.groupBy(columns, ({ tableOid }) => tableOid)
    const indexesOf = Map.groupBy(indexes, ({ tableOid }) => tableOid)
    return new Catalog(
      server[0] as ServerFacts,
      tables.map((table) => {
        const own = columnsOf.get(table.oid) ?? []
        const byName = new Map(own.map((column) => [column.name, column]))
        return Object.assign(table, { columns: byName, indexes: indexesOf.get(table.oid) ?? [] })
      }),
    )
  }

  /** A table by its name, by the search path where the statement names no schema. */
  table(schema: string | undefined, name: string): TableFacts | undefined {
    return this.#byName.get(keyOf(schema, name))
  }
}

/** How many different values a column has. */
export function distinctValues(table: TableFacts, column: ColumnFacts): number {
  const { distinct } = column
  if (distinct === 0) return Math.max(1, Math.min(200, table.rows))
  return Math.max(1, distinct > 0 ? distinct : -distinct * table.rows)
}

function keyOf(schema: string | undefined, name: string): string {
  return JSON.stringify([schema ?? null, name])
}
