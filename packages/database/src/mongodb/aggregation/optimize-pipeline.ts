import type { Document } from 'mongodb'
import { expressionRules } from './expression-rules.ts'
import { matchRules } from './match-rules.ts'
import { orderRules } from './order-rules.ts'
import type {
  OptimizedPipeline,
  PipelineFacts,
  PipelineRewrite,
  Rule,
  RuleContext,
} from './rule.ts'
import { documentOf, holdsUndefined, isPlainObject, stageOf, type Stage } from './stage.ts'
import { canRefuse } from './stage-effects.ts'

const RULES: readonly Rule[] = [...matchRules, ...orderRules, ...expressionRules]

/** Far above what the rules need: each makes a pipeline shorter or moves a stage one way. */
const MAX_REWRITES = 1_000

/**
 * The pipeline rewritten so that the server does less, with the same result: the same documents, in
 * the same order where the pipeline defines one. Never brings an error about that the original has
 * not. Rewrites that need to know more of the data are made only where `facts` say so.
 */
export function optimizePipeline(
  pipeline: readonly Document[],
  facts: PipelineFacts = {},
): OptimizedPipeline {
  return optimize(pipeline, { facts, startsAtCollection: true }, [])
}

function optimize(
  pipeline: readonly Document[],
  context: RuleContext,
  path: readonly (string | number)[],
): OptimizedPipeline {
  const given = pipeline.map(stageOf)
  const isKnown = given.every((stage) => stage !== undefined)
  // What a client makes of `undefined` is up to its options.
  if (!isKnown || holdsUndefined(pipeline)) return { pipeline: [...pipeline], rewrites: [] }
  const rewrites: PipelineRewrite[] = []
  let stages: readonly Stage[] = given.map((stage, index) => {
    return withInnerOptimized(stage, [...path, index], rewrites)
  })
  while (rewrites.length < MAX_REWRITES) {
    const next = applyFirst(stages, context, path)
    if (next === undefined) break
    stages = next.stages
    rewrites.push(next.rewrite)
  }
  return { pipeline: stages.map(documentOf), rewrites }
}

function applyFirst(
  stages: readonly Stage[],
  context: RuleContext,
  path: readonly (string | number)[],
): { stages: readonly Stage[]; rewrite: PipelineRewrite } | undefined {
  const isMovable = !stages.some(canRefuse)
  for (const rule of RULES) {
    if (rule.movesFilters === true && !isMovable) continue
    for (let index = 0; index < stages.length; index++) {
      const replacement = rule.apply(stages, index, context)
      if (replacement === undefined) continue
      const { id = rule.id, reason, count } = replacement
      return {
        stages: stages.toSpliced(index, count, ...replacement.stages),
        rewrite: { id, reason, path: [...path, index] },
      }
    }
  }
  return undefined
}

/** The stage with the pipelines within it optimized. */
function withInnerOptimized(
  stage: Stage,
  path: readonly (string | number)[],
  rewrites: PipelineRewrite[],
): Stage {
  const { name, body } = stage
  if (!isPlainObject(body)) return stage
  const inner = (key: string, startsAtCollection: boolean): unknown => {
    const pipeline: unknown = body[key]
    if (!Array.isArray(pipeline) || !pipeline.every(isPlainObject)) return pipeline
    const result = optimize(pipeline, { facts: {}, startsAtCollection }, [...path, key])
    rewrites.push(...result.rewrites)
    // The server refuses a branch without stages.
    return name === '$facet' && result.pipeline.length === 0 ? [{ $match: {} }] : result.pipeline
  }
  if (name === '$facet') {
    const branches = Object.keys(body).map((key) => [key, inner(key, false)])
    return { name, body: Object.fromEntries(branches) as Document }
  }
  if ((name === '$lookup' || name === '$unionWith') && 'pipeline' in body) {
    return { name, body: { ...body, pipeline: inner('pipeline', true) } }
  }
  return stage
}
