/** What a statement is, by its outermost verb. A `with` in front does not count; `select … into` is `ddl`. */
export type SqlStatementKind =
  | 'select'
  | 'insert'
  | 'update'
  | 'delete'
  | 'merge'
  | 'truncate'
  | 'copy'
  | 'refresh'
  | 'ddl'
  | 'set'
  | 'show'
  | 'explain'
  | 'transaction'
  | 'call'
  | 'do'
  | 'cursor'
  | 'prepared'
  | 'notify'
  | 'lock'
  | 'maintenance'
  /** More than one statement in the text. */
  | 'several'
  /** Comments and blanks only. */
  | 'empty'

/** A table, view or other relation as the statement writes it, folded as PostgreSQL folds it. */
export interface TableName {
  /** `undefined` where the statement leaves it to the search path. */
  readonly schema: string | undefined
  readonly name: string
}

/** A function as the statement calls it. The language's own, such as `current_date`, are there by their keyword. */
export interface FunctionCall extends TableName {
  readonly argumentCount: number
}

/** A statement that opens, ends or divides a transaction. */
export interface TransactionControl {
  readonly action:
    | 'begin'
    | 'commit'
    | 'rollback'
    | 'savepoint'
    | 'release'
    | 'rollback to'
    | 'prepare'
    | 'commit prepared'
    | 'rollback prepared'
  /** The savepoint's, if it is about one. */
  readonly savepoint: string | undefined
}

/** What a text says of itself, before any server has seen it. Names are not resolved. */
export interface ParsedStatement {
  readonly text: string
  /** The text with a `$n` in place of each constant, as pg_stat_statements shows it. */
  readonly normalized: string
  /**
   * 16 hexadecimal digits, the same for statements that differ in constants, blanks, comments,
   * aliases, casts of constants or lengths of lists only: a name for statistics. Two statements of
   * one fingerprint may well give different results.
   */
  readonly fingerprint: string
  readonly kind: SqlStatementKind
  /** Relations read, each once. A CTE is none, and neither is the target of a write that is not read. */
  readonly reads: readonly TableName[]
  /** Relations whose rows it changes. What `ddl` changes is not listed, nor what functions and triggers do. */
  readonly writes: readonly TableName[]
  /** Names of its CTEs. */
  readonly ctes: readonly string[]
  readonly functions: readonly FunctionCall[]
  /** Names behind a dot, columns mostly, each once: `row.name` may call a function of that name. */
  readonly fields: readonly string[]
  /** Types that something is cast to by `::`, `cast` or a typed constant, each once. */
  readonly casts: readonly TableName[]
  /** Names of the operators, `=` and `~~` (LIKE) among them. */
  readonly operators: readonly string[]
  /** Whether it neither writes nor locks rows by its syntax; functions that it calls may do so still. */
  readonly isReadOnly: boolean
  /** `for update`, `for share` and so on. */
  readonly locksRows: boolean
  readonly hasConstants: boolean
  /** Whether a string constant is a word that PostgreSQL reads as a time that moves: `'now'`, `'today'`. */
  readonly hasMovingConstant: boolean
  /** Whether it truncates with `cascade`. */
  readonly truncatesCascading: boolean
  /** In the order of the text; empty for all but the kinds `transaction` and `several`. */
  readonly controls: readonly TransactionControl[]
  /** Whether it changes a setting of the session beyond the transaction: `set`, `reset`, `discard`. */
  readonly setsSession: boolean
}
