/** A step of a plan. Times and rows of `actual` are those of one loop, averaged. */
export interface PlanNode {
  /** Position in the tree, the root first, from 0. */
  readonly id: number
  /** As the server names it: `Seq Scan`, `Hash Join`, … */
  readonly type: string
  /** What it is to its parent: `Outer`, `Inner`, `SubPlan`, `InitPlan`, … */
  readonly relationship: string | undefined
  readonly relation: PlanRelation | undefined
  readonly index: string | undefined
  /** `Filter`, `Index Cond`, `Hash Cond`, `Sort Key` and so on, by the server's name. */
  readonly conditions: Readonly<Record<string, string>>
  readonly estimated: PlanEstimate
  /** `undefined` where the statement was not run. */
  readonly actual: PlanActual | undefined
  readonly spill: PlanSpill | undefined
  readonly children: readonly PlanNode[]
}

export interface PlanRelation {
  readonly schema: string | undefined
  readonly name: string
  readonly alias: string | undefined
}

export interface PlanEstimate {
  readonly rows: number
  readonly widthBytes: number
  readonly startupCost: number
  readonly totalCost: number
}

export interface PlanActual {
  readonly rows: number
  /** 0 for a step that never ran. */
  readonly loops: number
  readonly startupMs: number
  readonly totalMs: number
  readonly rowsRemovedByFilter: number
  readonly rowsRemovedByJoinFilter: number
  readonly rowsRemovedByRecheck: number
  /** Rows that an index-only scan had to look up in the table all the same. */
  readonly heapFetches: number
  readonly exactHeapBlocks: number
  readonly lossyHeapBlocks: number
  readonly buffers: PlanBuffers
}

/** Blocks of 8 KiB. */
export interface PlanBuffers {
  readonly sharedHit: number
  readonly sharedRead: number
  readonly sharedWritten: number
  readonly tempRead: number
  readonly tempWritten: number
}

/** What did not fit into memory. */
export interface PlanSpill {
  readonly kind: 'sort' | 'hash' | 'aggregate'
  /** Written to disk; `undefined` where the server does not say. */
  readonly diskKb: number | undefined
  /** Parts that a hash was cut into; 1 for others. */
  readonly batches: number
}

/** A plan as a whole. */
export interface Plan {
  readonly root: PlanNode
  /** Whether the statement was run. */
  readonly isAnalyzed: boolean
  readonly planningMs: number | undefined
  readonly executionMs: number | undefined
  readonly jit: { readonly functions: number; readonly totalMs: number | undefined } | undefined
  /** Time spent in triggers, foreign keys among them. */
  readonly triggers: readonly {
    readonly name: string
    readonly calls: number
    readonly totalMs: number
  }[]
}

/** Every step, the root first. */
export function* nodesOf(root: PlanNode): Generator<PlanNode> {
  yield root
  for (const child of root.children) yield* nodesOf(child)
}
