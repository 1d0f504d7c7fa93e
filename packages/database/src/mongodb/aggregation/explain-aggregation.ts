import type { AggregateOptions, Collection, Document } from 'mongodb'
import { optimizePipeline } from './optimize-pipeline.ts'
import type { PipelineFacts, PipelineRewrite } from './rule.ts'

/** What the server did for a pipeline. */
export interface AggregationCost {
  readonly pipeline: readonly Document[]
  /** Documents read, those of joined collections included. */
  readonly docsExamined: number
  readonly keysExamined: number
  /** The longest time that a part of the plan reports. */
  readonly elapsedMs: number
  /** Names of the indexes used. */
  readonly indexes: readonly string[]
  /** The server's own answer. */
  readonly explain: Document
}

/** A pipeline as it was given and as it is rewritten, each run once. */
export interface ExplainedAggregation {
  readonly rewrites: readonly PipelineRewrite[]
  readonly before: AggregationCost
  /** The same as `before` where nothing was rewritten. */
  readonly after: AggregationCost
}

/** Runs both pipelines under `explain('executionStats')`. */
export async function explainBoth(
  collection: Collection,
  pipeline: readonly Document[],
  facts: PipelineFacts,
  options: AggregateOptions,
): Promise<ExplainedAggregation> {
  const { pipeline: optimized, rewrites } = optimizePipeline(pipeline, facts)
  const before = await costOf(collection, pipeline, options)
  const after = rewrites.length === 0 ? before : await costOf(collection, optimized, options)
  return { rewrites, before, after }
}

async function costOf(
  collection: Collection,
  pipeline: readonly Document[],
  options: AggregateOptions,
): Promise<AggregationCost> {
  const explain = await collection.aggregate([...pipeline], options).explain('executionStats')
  const indexes = new Set<string>()
  let elapsedMs = 0
  let docsExamined = 0
  let keysExamined = 0
  // A stage such as `$lookup` counts for itself; a plan counts in one place for all of its stages.
  visit(explain, (node) => {
    if (typeof node['indexName'] === 'string') indexes.add(node['indexName'])
    elapsedMs = Math.max(
      elapsedMs,
      numberOf(node['executionTimeMillis']),
      numberOf(node['executionTimeMillisEstimate']),
    )
    docsExamined += numberOf(node['totalDocsExamined'])
    keysExamined += numberOf(node['totalKeysExamined'])
  })
  const found = { docsExamined, keysExamined, elapsedMs, indexes: [...indexes] }
  return { pipeline: [...pipeline], ...found, explain }
}

function visit(node: unknown, onObject: (node: Document) => void): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) onObject(node)
  for (const child of Object.values(node) as unknown[]) visit(child, onObject)
}

/** A count of the server's, which comes as a `Long` from some stages. */
function numberOf(value: unknown): number {
  return value === undefined ? 0 : Number(value)
}
