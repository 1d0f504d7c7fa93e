import type { SqlNode } from '../../sql/index.ts'
import type { RewriteCode } from '../advice.ts'
import type { StatementShape } from '../analysis/statement-shape.ts'
import type { ServerFacts } from '../catalog/catalog.ts'

/** What a rule looks at: a statement that is one SELECT, UPDATE or DELETE. */
export interface Rewritable {
  readonly text: string
  readonly node: SqlNode
  readonly shape: StatementShape
  readonly server: ServerFacts
}

/** What a rule has found: the text as it should be, with its constants. */
export interface Rewrite {
  readonly code: RewriteCode
  readonly after: string
  readonly why: string
  readonly isEquivalent: boolean
}

export type RewriteRule = (statement: Rewritable) => Rewrite | undefined
