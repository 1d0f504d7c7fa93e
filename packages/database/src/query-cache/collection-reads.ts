/** Collections that a query reads, or why its result must not be kept. */
export type CollectionReads =
  | { readonly kind: 'reads'; readonly collections: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string }

/** Stages whose outcome depends on what comes in only. One that is not listed is refused. */
const STEADY_STAGES: ReadonlySet<string> = new Set(
  `$match $project $addFields $set $unset $replaceRoot $replaceWith $group $sort $limit $skip $count $sortByCount
   $unwind $bucket $bucketAuto $geoNear $redact $densify $fill $setWindowFields $documents $lookup $unionWith
   $graphLookup $facet`.split(/\s+/),
)
/** Operators that run code, draw lots, or make something new each time. */
const UNSTEADY: ReadonlySet<string> = new Set([
  '$where',
  '$function',
  '$accumulator',
  '$rand',
  '$sampleRate',
  '$createObjectId',
])
/** Variables that depend on the moment or on who asks. */
const MOVING = /^\$\$(?:NOW|CLUSTER_TIME|USER_ROLES)\b/

/** What a pipeline on a collection reads, stages within stages included. Views are not looked through. */
export function readsOfPipeline(collection: string, pipeline: readonly unknown[]): CollectionReads {
  const collections = new Set([collection])
  const reason = refusalOfStages(pipeline, collections)
  return reason === undefined
    ? { kind: 'reads', collections: [...collections] }
    : { kind: 'refused', reason }
}

/** Why a filter, a projection or an expression must not be part of what is cached. */
export function refusalOfValue(value: unknown): string | undefined {
  if (typeof value === 'string') {
    const [moving] = MOVING.exec(value) ?? []
    return moving === undefined ? undefined : `${moving} depends on the moment or the user`
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) return firstReason(value, refusalOfValue)
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value)
  for (const [key, child] of entries) {
    if (key === '$literal') continue
    if (UNSTEADY.has(String(key))) return `${String(key)} gives another result each time`
    const reason = refusalOfValue(child)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Collections that a pipeline writes. */
export function targetsOfPipeline(pipeline: unknown): string[] {
  if (!Array.isArray(pipeline)) return []
  return pipeline.flatMap((stage: unknown) => {
    if (!isObject(stage)) return []
    const { $out: out, $merge: merge } = stage
    return nameOf(out) ?? nameOf(merge) ?? nameOf(isObject(merge) ? merge['into'] : undefined) ?? []
  })
}

function refusalOfStages(pipeline: readonly unknown[], into: Set<string>): string | undefined {
  return firstReason(pipeline, (stage) => {
    if (!isObject(stage)) return 'a stage is no document'
    return firstReason(Object.entries(stage), ([name, body]) => {
      if (name === '$out' || name === '$merge') return 'it writes'
      if (!STEADY_STAGES.has(name)) return `stage ${name} depends on more than documents`
      return refusalOfNested(name, body, into) ?? refusalOfValue(body)
    })
  })
}

/** Other collections that the stage reads, and pipelines within it. */
function refusalOfNested(name: string, body: unknown, into: Set<string>): string | undefined {
  if (name === '$facet') {
    return isObject(body) ? firstReason(Object.values(body), (one) => nested(one, into)) : undefined
  }
  if (name === '$unionWith' && typeof body === 'string') {
    into.add(body)
    return undefined
  }
  if (name !== '$lookup' && name !== '$graphLookup' && name !== '$unionWith') return undefined
  if (!isObject(body)) return `stage ${name} is no document`
  const { from, coll = from, pipeline } = body
  if (typeof coll === 'string') into.add(coll)
  else if (coll !== undefined) return `stage ${name} reads another database`
  return nested(pipeline, into)
}

function nested(pipeline: unknown, into: Set<string>): string | undefined {
  return Array.isArray(pipeline) ? refusalOfStages(pipeline, into) : undefined
}

function firstReason<Item>(
  items: readonly Item[],
  reasonOf: (item: Item) => string | undefined,
): string | undefined {
  for (const item of items) {
    const reason = reasonOf(item)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** `coll` of a target, which may be written as `{ db, coll }`. */
function nameOf(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  return isObject(target) && typeof target['coll'] === 'string' ? target['coll'] : undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
