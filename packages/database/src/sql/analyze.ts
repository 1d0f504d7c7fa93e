import type { Node, RangeVar, SelectStmt, WithClause } from 'libpg-query'
import { isMovingTime } from './moving-time.ts'
import { controlOf, kindOfNode } from './node-kinds.ts'
import type {
  FunctionCall,
  ParsedStatement,
  TableName,
  TransactionControl,
} from './parsed-statement.ts'
import { isKind } from './visit-nodes.ts'

type Facts = Omit<ParsedStatement, 'text' | 'normalized' | 'fingerprint'>

/** Names of the CTEs that are in sight. */
type Scope = ReadonlySet<string>

const NO_SCOPE: Scope = new Set()
/** Reads off the trees of a text what {@link ParsedStatement} tells. */
export function analyze(nodes: readonly Node[]): Facts {
  const analysis = new Analysis()
  for (const node of nodes) analysis.statement(node)
  const kinds = nodes.map(kindOfNode)
  return analysis.facts(kinds.length > 1 ? 'several' : (kinds[0] ?? 'empty'), kinds)
}

class Analysis {
  readonly #reads = new Map<string, TableName>()
  readonly #writes = new Map<string, TableName>()
  readonly #ctes = new Set<string>()
  readonly #functions = new Map<string, FunctionCall>()
  readonly #fields = new Set<string>()
  readonly #operators = new Set<string>()
  readonly #casts = new Map<string, TableName>()
  readonly #controls: TransactionControl[] = []
  #locksRows = false
  #hasConstants = false
  #hasMovingConstant = false
  #truncatesCascading = false
  #setsSession = false

  facts(kind: Facts['kind'], kinds: readonly Facts['kind'][]): Facts {
    const areReads = kinds.every((one) => one === 'select' || one === 'show' || one === 'empty')
    const isPlainExplain = kind === 'explain'
    return {
      kind,
      reads: [...this.#reads.values()],
      writes: [...this.#writes.values()],
      ctes: [...this.#ctes],
      functions: [...this.#functions.values()],
      fields: [...this.#fields],
      operators: [...this.#operators],
      casts: [...this.#casts.values()],
      isReadOnly: (areReads || isPlainExplain) && this.#writes.size === 0 && !this.#locksRows,
      locksRows: this.#locksRows,
      hasConstants: this.#hasConstants,
      hasMovingConstant: this.#hasMovingConstant,
      truncatesCascading: this.#truncatesCascading,
      controls: this.#controls,
      setsSession: this.#setsSession,
    }
  }

  statement(node: Node): void {
    this.#node(node, NO_SCOPE)
  }

  /** Everything below a value, whatever it is. */
  #visit(value: unknown, scope: Scope): void {
    if (Array.isArray(value)) {
      for (const one of value) this.#visit(one, scope)
      return
    }
    if (typeof value !== 'object' || value === null) return
    for (const [key, child] of Object.entries(value)) {
      if (isKind(key)) this.#node({ [key]: child } as Node, scope)
      else this.#visit(child, scope)
    }
  }

  #node(node: Node, scope: Scope): void {
    if ('SelectStmt' in node) return this.#select(node.SelectStmt, scope)
    if ('InsertStmt' in node) return this.#write(node.InsertStmt, scope)
    if ('UpdateStmt' in node) return this.#write(node.UpdateStmt, scope, true)
    if ('DeleteStmt' in node) return this.#write(node.DeleteStmt, scope, true)
    if ('MergeStmt' in node) return this.#write(node.MergeStmt, scope, true)
    if ('RangeVar' in node) return this.#read(node.RangeVar, scope)
    if ('CopyStmt' in node) {
      const { relation, is_from: isFrom, ...rest } = node.CopyStmt
      if (relation !== undefined) add(isFrom === true ? this.#writes : this.#reads, relation)
      return this.#visit(rest, scope)
    }
    if ('TruncateStmt' in node) {
      const { relations = [], behavior } = node.TruncateStmt
      for (const one of relations) if ('RangeVar' in one) add(this.#writes, one.RangeVar)
      this.#truncatesCascading ||= behavior === 'DROP_CASCADE'
      return
    }
    if ('RefreshMatViewStmt' in node) {
      const { relation } = node.RefreshMatViewStmt
      if (relation !== undefined) add(this.#writes, relation)
      return
    }
    if ('CreateTableAsStmt' in node) {
      const { into, query } = node.CreateTableAsStmt
      if (into?.rel !== undefined) add(this.#writes, into.rel)
      return this.#visit(query, scope)
    }
    if ('TransactionStmt' in node) {
      this.#controls.push(controlOf(node.TransactionStmt))
      return
    }
    if ('VariableSetStmt' in node) {
      const { is_local: isLocal = false, kind } = node.VariableSetStmt
      // SET TRANSACTION ends with the transaction; it has several values.
      this.#setsSession ||= !isLocal && kind !== 'VAR_SET_MULTI'
      return
    }
    if ('DiscardStmt' in node) this.#setsSession = true
    this.#expression(node, scope)
  }

  #expression(node: Node, scope: Scope): void {
    if ('FuncCall' in node) {
      const { funcname = [], args = [], over, agg_order: order, agg_filter: filter } = node.FuncCall
      const isOrderedSet = node.FuncCall.agg_within_group === true
      this.#call(funcname, args.length + (isOrderedSet ? (order?.length ?? 0) : 0))
      return this.#visit([args, over, order, filter], scope)
    }
    if ('CallStmt' in node) {
      // The call is part of the statement, without its kind.
      return this.#expression({ FuncCall: node.CallStmt.funccall ?? {} }, scope)
    }
    if ('SQLValueFunction' in node) {
      const word = (node.SQLValueFunction.op ?? '').replace(/^SVFOP_|_N$/g, '').toLowerCase()
      return this.#addFunction(undefined, word, 0)
    }
    if ('RangeTableSample' in node) {
      this.#addFunction(undefined, 'tablesample', 0)
    } else if ('A_Const' in node) {
      this.#hasConstants = true
      const text = node.A_Const.sval?.sval ?? ''
      this.#hasMovingConstant ||= isMovingTime(text)
      return
    } else if ('ColumnRef' in node) {
      for (const name of stringsOf(node.ColumnRef.fields ?? []).slice(1)) this.#fields.add(name)
    } else if ('A_Indirection' in node) {
      for (const name of stringsOf(node.A_Indirection.indirection ?? [])) this.#fields.add(name)
    } else if ('A_Expr' in node) {
      this.#operator(node.A_Expr.name)
    } else if ('SortBy' in node) {
      this.#operator(node.SortBy.useOp)
    } else if ('TypeCast' in node) {
      const [name = '', schema] = stringsOf(node.TypeCast.typeName?.names ?? []).toReversed()
      this.#casts.set(JSON.stringify([schema, name]), { schema, name })
    } else if ('SubLink' in node) {
      this.#operator(node.SubLink.operName)
    }
    this.#visit(Object.values(node)[0], scope)
  }

  #select(statement: SelectStmt, outer: Scope): void {
    const { withClause, intoClause, lockingClause, larg, rarg, ...rest } = statement
    const scope = this.#with(withClause, outer)
    if (intoClause?.rel !== undefined) add(this.#writes, intoClause.rel)
    this.#locksRows ||= lockingClause !== undefined
    if (larg !== undefined) this.#select(larg, scope)
    if (rarg !== undefined) this.#select(rarg, scope)
    this.#visit(rest, scope)
  }

  #write(
    statement: { readonly relation?: RangeVar; readonly withClause?: WithClause },
    outer: Scope,
    readsTarget = false,
  ): void {
    const { relation, withClause, ...rest } = statement
    const scope = this.#with(withClause, outer)
    if (relation !== undefined) {
      add(this.#writes, relation)
      if (readsTarget) add(this.#reads, relation)
    }
    this.#visit(rest, scope)
  }

  /** The scope behind a WITH. Without RECURSIVE, a CTE sees those before it only. */
  #with(clause: WithClause | undefined, outer: Scope): Scope {
    if (clause === undefined) return outer
    const expressions = (clause.ctes ?? []).flatMap((node) =>
      'CommonTableExpr' in node ? [node.CommonTableExpr] : [],
    )
    const scope = new Set(outer)
    if (clause.recursive === true) for (const { ctename = '' } of expressions) scope.add(ctename)
    for (const { ctename = '', ctequery, ...rest } of expressions) {
      this.#visit(ctequery, new Set(scope))
      this.#visit(rest, scope)
      scope.add(ctename)
      this.#ctes.add(ctename)
    }
    return scope
  }

  #read(relation: RangeVar, scope: Scope): void {
    const isCte = relation.schemaname === undefined && scope.has(relation.relname ?? '')
    if (!isCte) add(this.#reads, relation)
  }

  #call(name: readonly Node[], argumentCount: number): void {
    const parts = stringsOf(name)
    this.#addFunction(
      parts.length > 1 ? parts.at(-2) : undefined,
      parts.at(-1) ?? '',
      argumentCount,
    )
  }

  #addFunction(schema: string | undefined, name: string, argumentCount: number): void {
    const key = JSON.stringify([schema, name, argumentCount])
    this.#functions.set(key, { schema, name, argumentCount })
  }

  #operator(name: readonly Node[] | undefined): void {
    const operator = stringsOf(name ?? []).at(-1)
    if (operator !== undefined) this.#operators.add(operator)
  }
}

function add(tables: Map<string, TableName>, { schemaname, relname = '' }: RangeVar): void {
  tables.set(JSON.stringify([schemaname, relname]), { schema: schemaname, name: relname })
}

function stringsOf(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []))
}
