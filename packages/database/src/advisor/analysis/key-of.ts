import type { SqlNode } from '../../sql/index.ts'
import type { ColumnFacts } from '../catalog/catalog.ts'
import { lastName, literalOf, partsOf, typeNameOf } from './node-access.ts'
import type { Scope } from './scope.ts'
import type { Key, TableUse } from './statement-shape.ts'

/** Functions whose outcome moves, or is a set: no index has them. */
const NO_KEY =
  /^(?:now|random|clock_timestamp|timeofday|unnest|generate_|count|sum|avg|min|max|array_agg|nextval|jsonb?_array_elements|regexp_)/
const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/

/** The key that an expression is, if it is over columns of one table. */
export function keyOf(node: SqlNode | undefined, scope: Scope): Key | undefined {
  if (node === undefined) return undefined
  const column = scope.column(node)
  if (column !== undefined) return column
  const writer = new Writer(scope)
  const sql = writer.write(node)
  const [use] = writer.uses
  if (sql === undefined || use === undefined || writer.uses.size > 1) return undefined
  return { use, sql, column: undefined, columns: writer.columns }
}

/** Writes an expression as an index definition would have it. */
class Writer {
  readonly uses = new Set<TableUse>()
  readonly columns: ColumnFacts[] = []
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** `undefined` for what is no constant or is not known here. */
  write(node: SqlNode | undefined): string | undefined {
    if (node === undefined) return undefined
    if ('ColumnRef' in node) return this.#column(node)
    const literal = literalOf(node)
    if (literal !== undefined) return literal.sql
    if ('TypeCast' in node) {
      const inner = this.write(node.TypeCast.arg)
      const type = typeNameOf(node)
      return inner === undefined || type === undefined ? undefined : `(${inner}::${type})`
    }
    if ('FuncCall' in node) {
      const { funcname, args = [], over, agg_filter: filter, agg_star: star } = node.FuncCall
      const name = lastName(funcname)
      if (over !== undefined || filter !== undefined || star === true) return undefined
      if (NO_KEY.test(name) || !PLAIN_NAME.test(name)) return undefined
      const list = this.#list(args)
      const [schema = ''] = partsOf(funcname)
      const prefix = schema === name || !PLAIN_NAME.test(schema) ? '' : `${schema}.`
      return list === undefined ? undefined : `${prefix}${name}(${list})`
    }
    if ('CoalesceExpr' in node) {
      const list = this.#list(node.CoalesceExpr.args ?? [])
      return list === undefined ? undefined : `coalesce(${list})`
    }
    if ('A_Expr' in node && node.A_Expr.kind === 'AEXPR_OP') {
      const { lexpr, rexpr, name } = node.A_Expr
      const left = this.write(lexpr)
      const right = this.write(rexpr)
      if (left === undefined || right === undefined) return undefined
      return `(${left} ${lastName(name)} ${right})`
    }
    return undefined
  }

  #list(nodes: readonly SqlNode[]): string | undefined {
    const parts = nodes.map((node) => this.write(node))
    return parts.includes(undefined) ? undefined : parts.join(', ')
  }

  #column(node: SqlNode): string | undefined {
    const key = this.#scope.column(node)
    if (key?.column === undefined) return undefined
    this.uses.add(key.use)
    this.columns.push(key.column)
    return key.sql
  }
}
