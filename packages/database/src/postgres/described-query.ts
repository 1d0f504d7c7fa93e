import { Query, type FieldDef } from 'pg'

/** What of the driver's query is built upon here; a version without it is served as before. */
interface QueryInside {
  prepare(connection: object): void
  handleRowDescription(message: { readonly fields: readonly FieldDef[] }): void
}

interface NamedQuery {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

const InsideQuery = Query as unknown as new (config: NamedQuery) => QueryInside

/** Whether the driver lets a query go without asking for the description of its rows. */
export const canSkipDescription: boolean =
  'prepare' in Query.prototype && 'handleRowDescription' in Query.prototype

/**
 * A prepared statement whose columns are known from an earlier run on the same connection, so that
 * the server need not describe them anew. They cannot have changed: it refuses a prepared statement
 * whose result would look otherwise (0A000).
 */
class DescribedQuery extends InsideQuery {
  readonly #columns: readonly FieldDef[]

  constructor(config: NamedQuery, columns: readonly FieldDef[]) {
    super(config)
    this.#columns = columns
  }

  override prepare(connection: object): void {
    if (this.#columns.length > 0) this.handleRowDescription({ fields: this.#columns })
    super.prepare(withoutDescribe(connection))
  }
}

const silentConnections = new WeakMap<object, object>()

/** The same connection to whom it is given, except that `describe` sends nothing. */
function withoutDescribe(connection: object): object {
  const known = silentConnections.get(connection)
  if (known !== undefined) return known
  const silent: object = Object.create(connection, { describe: { value: () => undefined } })
  silentConnections.set(connection, silent)
  return silent
}

/** What to give to the driver's `query` for a prepared statement, the columns of which may be known. */
export function queryFor(config: NamedQuery, columns: readonly FieldDef[] | undefined): object {
  return columns !== undefined && canSkipDescription ? new DescribedQuery(config, columns) : config
}
