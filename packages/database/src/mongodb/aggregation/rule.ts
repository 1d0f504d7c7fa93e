import type { Document } from 'mongodb'
import type { Stage } from './stage.ts'

/**
 * What the caller knows of a collection and vouches for; some rewrites hold only where these are
 * true. A wrong fact makes results wrong.
 */
export interface PipelineFacts {
  /** Fields that hold an array in no document, nor does a field above them. @default none */
  readonly scalars?: readonly string[]
  /** Key patterns of the collection's indexes, such as `{ user: 1, at: -1 }`. @default none */
  readonly indexes?: readonly Readonly<Record<string, 1 | -1>>[]
}

export interface RuleContext {
  readonly facts: PipelineFacts
  /** Whether the first stage reads a collection, and so may use its indexes. */
  readonly startsAtCollection: boolean
}

/** Stages that replace those from the rule's position on. */
export interface Replacement {
  /** How many stages are replaced. */
  readonly count: number
  readonly stages: readonly Stage[]
  /** Why the result is the same. */
  readonly reason: string
  /** @default the rule's */
  readonly id?: string
}

/**
 * A rewrite after which the pipeline gives the same documents, in the same order where the order
 * was defined, wherever the original gives any. It may end an error, and never brings one about.
 */
export interface Rule {
  readonly id: string
  /**
   * Whether it changes which filters stand together. It then does not apply where any of them can
   * fail: that one may rely on others to keep documents from it, and the server makes one of those
   * that it can bring together, and chooses which part it tries first. @default false
   */
  readonly movesFilters?: boolean
  apply(stages: readonly Stage[], index: number, context: RuleContext): Replacement | undefined
}

/** A rewrite that was made. */
export interface PipelineRewrite {
  /** Stable name of the rewrite, such as `facet-match-hoisted`. */
  readonly id: string
  readonly reason: string
  /** Position of the first stage concerned, at the time; those of inner pipelines come first. */
  readonly path: readonly (string | number)[]
}

export interface OptimizedPipeline {
  readonly pipeline: Document[]
  /** What was done, in order; nothing where the pipeline is as it was given. */
  readonly rewrites: readonly PipelineRewrite[]
}
