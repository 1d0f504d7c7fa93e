import type { IndexMethod } from './candidates/index-form.ts'
import type { Verification } from './verify/cost-model.ts'

/** A statement that an index helps. */
export interface HelpedQuery {
  readonly fingerprint: string
  /** Without constants. */
  readonly statement: string
  readonly calls: number
  /** In the planner's unit. */
  readonly costBefore: number
  readonly costAfter: number
  /** Measured where the workload has it, else computed from the cost. */
  readonly msBefore: number
  readonly msAfter: number
}

/** An index to create. */
export interface CreateIndexAdvice {
  readonly kind: 'create-index'
  readonly name: string
  readonly schema: string
  readonly table: string
  readonly method: IndexMethod
  readonly form: readonly IndexTrait[]
  /** To be shown: with `?` in place of literals. */
  readonly definition: string
  /** To be run: a partial index and one on an expression have their literals in it. */
  readonly toSql: () => string
  /** Drops it. It has no literals. */
  readonly undo: string
  /** Extensions that must be created before. */
  readonly requires: readonly string[]
  readonly helps: readonly HelpedQuery[]
  /** Over all runs of all statements that it helps. */
  readonly savedMs: number
  readonly sizeBytes: number
  /** Whether a real index was measured, and not the model's arithmetic. */
  readonly isSizeMeasured: boolean
  /** What it costs the writes of the workload. */
  readonly writeMs: number
  readonly writeBasis: 'workload' | 'statistics'
  readonly verification: Verification
  readonly confidence: Confidence
}

/** What an index has beyond plain columns. */
export type IndexTrait =
  | 'compound'
  | 'partial'
  | 'covering'
  | 'expression'
  | 'pattern'
  | 'gin'
  | 'trigram'
  | 'brin'

export type Confidence = 'high' | 'medium' | 'low'

/** An index to drop. */
export interface DropIndexAdvice {
  readonly kind: 'drop-index'
  readonly reason: 'unused' | 'duplicate' | 'prefix' | 'invalid'
  readonly name: string
  readonly schema: string
  readonly table: string
  /** It has no literals. */
  readonly definition: string
  /** To be shown, what creates it again: with `?` in place of literals. */
  readonly undo: string
  /** To be run, what creates it again: with the literals of its condition and its expressions. */
  readonly toUndoSql: () => string
  readonly sizeBytes: number
  /** The index that does its work, for duplicates and prefixes. */
  readonly instead: string | undefined
  readonly confidence: Confidence
}

export type RewriteCode =
  | 'function-on-column'
  | 'cast-on-column'
  | 'leading-wildcard'
  | 'offset-paging'
  | 'select-star'
  | 'missing-limit'
  | 'not-in-subquery'
  | 'any-of-array'
  | 'repeated-query'

/** A statement to write otherwise. */
export interface RewriteAdvice {
  readonly kind: 'rewrite'
  readonly code: RewriteCode
  readonly fingerprint: string
  /** Both without constants. */
  readonly before: string
  readonly after: string
  readonly why: string
  readonly calls: number
  /** Whether both give the same rows; else the difference is for people to judge. */
  readonly isEquivalent: boolean
}

/**
 * What the advisor has found. No field has a literal of a statement, so that all of it may be shown; what
 * must have them to be run is given by methods, `toSql` and `toUndoSql`.
 */
export interface Advice {
  /** What saves most comes first. */
  readonly indexes: readonly CreateIndexAdvice[]
  readonly drops: readonly DropIndexAdvice[]
  readonly rewrites: readonly RewriteAdvice[]
  /** Over the workload, as computed. */
  readonly msBefore: number
  readonly msAfter: number
  readonly statements: {
    readonly analyzed: number
    /** The server refuses to plan them: fingerprints. */
    readonly refused: readonly string[]
    readonly unreadable: number
  }
  /** What could not be known, and how it could. */
  readonly limits: readonly string[]
}
