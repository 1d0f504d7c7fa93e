import { visitNodes, type SqlNode } from '../../sql/index.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { keyOf } from './key-of.ts'
import { lastName, partsOf } from './node-access.ts'
import { predicatesOf } from './predicates-of.ts'
import { Scope } from './scope.ts'
import type {
  SortKey,
  StatementShape,
  TableMention,
  TableUse,
  TableWrite,
} from './statement-shape.ts'

type Select = Extract<SqlNode, { SelectStmt: unknown }>['SelectStmt']
type RangeVar = Extract<SqlNode, { RangeVar: unknown }>['RangeVar']

/** What a statement asks of each table, its subqueries and CTEs included. */
export function analyzeStatement(nodes: readonly SqlNode[], catalog: Catalog): StatementShape {
  const analyzer = new Analyzer(catalog)
  for (const node of nodes) analyzer.statement(node, undefined)
  return analyzer
}

class Analyzer implements StatementShape {
  readonly uses: TableUse[] = []
  readonly mentions: TableMention[] = []
  readonly writes: TableWrite[] = []
  readonly #catalog: Catalog

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  statement(node: SqlNode, parent: Scope | undefined): void {
    if ('SelectStmt' in node) return this.#select(node.SelectStmt, parent)
    if ('UpdateStmt' in node) {
      const { relation, targetList = [], fromClause, whereClause, withClause } = node.UpdateStmt
      const columns = targetList.flatMap((one) =>
        'ResTarget' in one ? [one.ResTarget.name ?? ''] : [],
      )
      return this.#change('update', columns, relation, whereClause, parent, [
        withClause,
        fromClause,
        targetList,
      ])
    }
    if ('DeleteStmt' in node) {
      const { relation, usingClause, whereClause, withClause } = node.DeleteStmt
      return this.#change('delete', [], relation, whereClause, parent, [withClause, usingClause])
    }
    if ('InsertStmt' in node) {
      const { relation, selectStmt, withClause } = node.InsertStmt
      const scope = new Scope(parent)
      this.#with(withClause?.ctes, scope)
      if (relation !== undefined) this.#write('insert', [], relation)
      if (selectStmt !== undefined) this.statement(selectStmt, scope)
    }
  }

  #change(
    kind: 'update' | 'delete',
    columns: readonly string[],
    relation: RangeVar | undefined,
    where: SqlNode | undefined,
    parent: Scope | undefined,
    [ctes, from, targets]: readonly [
      { readonly ctes?: SqlNode[] } | undefined,
      SqlNode[] | undefined,
      SqlNode[]?,
    ],
  ): void {
    const scope = new Scope(parent)
    this.#with(ctes?.ctes, scope)
    if (relation !== undefined) {
      this.#write(kind, columns, relation)
      this.#range({ RangeVar: relation }, scope)
    }
    for (const one of from ?? []) this.#range(one, scope)
    // A row that is changed is read as a whole.
    for (const use of scope.uses) use.isStar = true
    this.#where(where, scope)
    this.#expressions(targets, scope)
  }

  #write(kind: TableWrite['kind'], columns: readonly string[], relation: RangeVar): void {
    const table = this.#catalog.table(relation.schemaname, relation.relname ?? '')
    if (table !== undefined) this.writes.push({ table, kind, columns })
  }

  #select(select: Select, parent: Scope | undefined): void {
    const scope = new Scope(parent)
    this.#with(select.withClause?.ctes, scope)
    if (select.larg !== undefined) this.#select(select.larg, scope)
    if (select.rarg !== undefined) this.#select(select.rarg, scope)
    for (const one of select.fromClause ?? []) this.#range(one, scope)
    this.#where(select.whereClause, scope)
    const { targetList, groupClause, havingClause, sortClause, distinctClause } = select
    this.#expressions([targetList, havingClause, select.valuesLists, distinctClause], scope)
    this.#keys(select, groupClause ?? (distinctClause === undefined ? [] : targetList), scope)
    this.#sort(select, sortClause ?? [], scope)
    for (const use of scope.uses) use.hasLimit = select.limitCount !== undefined
  }

  #with(ctes: readonly SqlNode[] | undefined, scope: Scope): void {
    for (const one of ctes ?? []) {
      if (!('CommonTableExpr' in one)) continue
      const { ctename = '', ctequery } = one.CommonTableExpr
      // A recursive one reads itself: its name is known before its query.
      scope.addCte(ctename)
      if (ctequery !== undefined) this.statement(ctequery, scope)
    }
  }

  #range(node: SqlNode, scope: Scope): void {
    if ('RangeVar' in node) {
      const { schemaname, relname = '', alias, location } = node.RangeVar
      const name = alias?.aliasname ?? relname
      const isCte = schemaname === undefined && scope.hasCte(relname)
      const table = isCte ? undefined : this.#catalog.table(schemaname, relname)
      if (table === undefined) return scope.addOther(name)
      this.uses.push(scope.addTable(table, name))
      const hasAlias = alias !== undefined
      this.mentions.push({ table, location: location ?? 0, hasAlias })
      return
    }
    if ('JoinExpr' in node) {
      const { larg, rarg, quals, usingClause } = node.JoinExpr
      if (larg !== undefined) this.#range(larg, scope)
      if (rarg !== undefined) this.#range(rarg, scope)
      this.#using(usingClause, scope)
      return this.#where(quals, scope)
    }
    if ('RangeSubselect' in node) {
      const { subquery, alias } = node.RangeSubselect
      if (subquery !== undefined) this.statement(subquery, scope)
      return scope.addOther(alias?.aliasname ?? '')
    }
    if ('RangeFunction' in node) scope.addOther(node.RangeFunction.alias?.aliasname ?? '')
    this.#expressions(node, scope)
  }

  #using(names: readonly SqlNode[] | undefined, scope: Scope): void {
    for (const name of partsOf(names)) {
      for (const use of scope.uses) {
        const column = use.table.columns.get(name)
        if (column === undefined) continue
        use.columns.add(name)
        const key = { use, sql: column.quoted, column, columns: [column] }
        use.predicates.push({ kind: 'join', key, values: [] })
      }
    }
  }

  #where(node: SqlNode | undefined, scope: Scope): void {
    if (node === undefined) return
    if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR') {
      for (const arg of node.BoolExpr.args ?? []) this.#where(arg, scope)
      return
    }
    this.#expressions(node, scope)
    if ('BoolExpr' in node && node.BoolExpr.boolop === 'OR_EXPR') {
      this.#or(node.BoolExpr.args ?? [], scope)
      return
    }
    for (const predicate of predicatesOf(node, scope)) predicate.key.use.predicates.push(predicate)
  }

  #or(args: readonly SqlNode[], scope: Scope): void {
    const arms = args.map((arg) => conjuncts(arg).flatMap((one) => predicatesOf(one, scope)))
    for (const use of scope.uses) {
      const own = arms.map((arm) => arm.filter(({ key }) => key.use === use))
      if (own.every((arm) => arm.length > 0)) use.ors.push(own)
    }
  }

  /** Notes the columns read, and goes into subqueries. */
  #expressions(tree: unknown, scope: Scope): void {
    visitNodes(tree, {
      ColumnRef: (content) => {
        const parts = partsOf(content.fields)
        if (parts.at(-1) === '*') scope.star(parts)
        else scope.column({ ColumnRef: content })
      },
      SubLink: ({ subselect, testexpr, subLinkType }) => {
        this.#expressions(testexpr, scope)
        if (subselect === undefined) return false
        const before = this.uses.length
        this.statement(subselect, scope)
        if (subLinkType === 'ANY_SUBLINK') this.#inner(subselect, before)
        return false
      },
    })
  }

  /** `x in (select y …)` joins by `y`. */
  #inner(subselect: SqlNode, before: number): void {
    const [target] = 'SelectStmt' in subselect ? (subselect.SelectStmt.targetList ?? []) : []
    const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined
    if (value === undefined || !('ColumnRef' in value)) return
    const name = lastName(value.ColumnRef.fields)
    for (const use of this.uses.slice(before)) {
      const column = use.table.columns.get(name)
      if (column === undefined) continue
      const key = { use, sql: column.quoted, column, columns: [column] }
      use.predicates.push({ kind: 'join', key, values: [] })
    }
  }

  #keys(select: Select, nodes: readonly SqlNode[] = [], scope: Scope): void {
    for (const node of nodes) {
      const inner = 'ResTarget' in node ? node.ResTarget.val : targetOf(node, select, scope)
      const key = keyOf(inner, scope)
      if (key !== undefined) key.use.group.push(key)
    }
  }

  #sort(select: Select, nodes: readonly SqlNode[], scope: Scope): void {
    const keys: SortKey[] = []
    for (const node of nodes) {
      if (!('SortBy' in node) || node.SortBy.node === undefined) return
      const { node: by, sortby_dir: direction, sortby_nulls: nulls } = node.SortBy
      const key = keyOf(targetOf(by, select, scope), scope)
      // An order by two tables, or by an aggregate, is no index's.
      if (key === undefined || key.use !== (keys[0]?.key.use ?? key.use)) return
      const isDescending = direction === 'SORTBY_DESC'
      const hasOtherNulls = nulls === (isDescending ? 'SORTBY_NULLS_LAST' : 'SORTBY_NULLS_FIRST')
      keys.push({ key, isDescending, hasOtherNulls })
    }
    keys[0]?.key.use.sort.push(...keys)
  }
}

function conjuncts(node: SqlNode): readonly SqlNode[] {
  return 'BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR'
    ? (node.BoolExpr.args ?? []).flatMap(conjuncts)
    : [node]
}

/** What `order by 2` or `order by total` mean. */
function targetOf(node: SqlNode, { targetList = [] }: Select, scope: Scope): SqlNode {
  const at = 'A_Const' in node ? node.A_Const.ival?.ival : undefined
  const target = at === undefined ? undefined : targetList[at - 1]
  if (target !== undefined && 'ResTarget' in target) return target.ResTarget.val ?? node
  if (!('ColumnRef' in node)) return node
  const parts = partsOf(node.ColumnRef.fields)
  const named = targetList.find((one) => 'ResTarget' in one && one.ResTarget.name === parts[0])
  const isAlias = parts.length === 1 && named !== undefined && 'ResTarget' in named
  return isAlias && scope.column(node) === undefined ? (named.ResTarget.val ?? node) : node
}
