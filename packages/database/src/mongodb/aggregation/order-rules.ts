import { lookupIsDead } from './dead-lookup.ts'
import type { PipelineFacts, Rule } from './rule.ts'
import { bodyOf, rootOf, type Stage } from './stage.ts'
import { changesWithin, leavesAlone, sortPatternOf } from './stage-effects.ts'

/**
 * Stages that make one document of each, looking at no other. Not those that make it smaller: what
 * is sorted would be larger then.
 */
const ONE_TO_ONE: ReadonlySet<string> = new Set(['$lookup', '$set', '$addFields'])

/** A joined field that nobody reads and that does not come out. */
const lookupDropped: Rule = {
  id: 'lookup-dropped',
  apply(stages, index) {
    const as: unknown = bodyOf(stages[index], '$lookup')?.['as']
    if (typeof as !== 'string' || as.includes('.')) return undefined
    if (!lookupIsDead(as, stages.slice(index + 1))) return undefined
    return { count: 1, stages: [], reason: `${as} is not used, and is not in the result` }
  },
}

/** `$lookup, $sort, $limit` as `$sort, $limit, $lookup`: only what remains is looked up. */
const movedBehindLimit: Rule = {
  id: 'after-limit',
  movesFilters: true,
  apply(stages, index) {
    const stage = stages[index]
    if (stage === undefined || !ONE_TO_ONE.has(stage.name)) return undefined
    // Before a filter it would meet what `changesWithin` says of the server.
    if (changesWithin(stage)) return undefined
    let end = index + 1
    let lastCut = index
    for (; isOrderOrCut(stages[end], stage); end++) {
      if (stages[end]?.name !== '$sort') lastCut = end
    }
    if (lastCut === index) return undefined
    return {
      id: `${stage.name.slice(1)}-after-limit`,
      count: lastCut - index + 1,
      stages: [...stages.slice(index + 1, lastCut + 1), stage],
      reason: `${stage.name} changes neither the number of documents nor what they are sorted by`,
    }
  },
}

const limitsMerged: Rule = {
  id: 'limits-merged',
  apply(stages, index) {
    const first = amountOf(stages[index], '$limit')
    const second = amountOf(stages[index + 1], '$limit')
    if (first === undefined || second === undefined) return undefined
    const limit: Stage = { name: '$limit', body: Math.min(first, second) }
    return { count: 2, stages: [limit], reason: 'the lower limit decides' }
  },
}

const skipsMerged: Rule = {
  id: 'skips-merged',
  apply(stages, index) {
    const first = amountOf(stages[index], '$skip')
    if (first === 0) return { count: 1, stages: [], reason: 'nothing is skipped' }
    const second = amountOf(stages[index + 1], '$skip')
    if (first === undefined || second === undefined) return undefined
    if (!Number.isSafeInteger(first + second)) return undefined
    const skip: Stage = { name: '$skip', body: first + second }
    return { count: 2, stages: [skip], reason: 'what is skipped twice adds up' }
  },
}

/** The server's sort is not stable, so nothing of an earlier order remains. */
const sortOverridden: Rule = {
  id: 'sort-overridden',
  apply(stages, index) {
    const isNext = sortPatternOf(stages[index + 1]) !== undefined
    const next = stages[index + 1]
    if (sortPatternOf(stages[index]) === undefined || !isNext || next === undefined) {
      return undefined
    }
    return { count: 2, stages: [next], reason: 'another order follows at once' }
  },
}

const sortBeforeCountDropped: Rule = {
  id: 'sort-before-count-dropped',
  apply(stages, index) {
    const next = stages[index + 1]
    if (sortPatternOf(stages[index]) === undefined || next?.name !== '$count') return undefined
    return { count: 2, stages: [next], reason: 'a count does not depend on the order' }
  },
}

/**
 * The first of each group by an order, where an index has the group's key before that order: then
 * the server reads one index entry a group. Documents of a group have equal keys, so the order
 * within it is the same. Only for keys without arrays: a sort takes an array by its least element,
 * and refuses two arrays in one document.
 */
const sortLedByGroupKey: Rule = {
  id: 'sort-led-by-group-key',
  apply(stages, index, { facts, startsAtCollection }) {
    // Facts, and indexes, are of the collection: other stages may make arrays, or other documents.
    const isOfCollection =
      startsAtCollection && stages.slice(0, index).every(({ name }) => name === '$match')
    if (!isOfCollection) return undefined
    const pattern = sortPatternOf(stages[index])
    const group = bodyOf(stages[index + 1], '$group')
    const next = stages[index + 1]
    if (pattern === undefined || group === undefined || next === undefined) return undefined
    const { _id: key, ...fields } = group
    if (typeof key !== 'string' || !/^\$[^$.]+$/.test(key)) return undefined
    const field = key.slice(1)
    const accumulators = Object.values(fields) as unknown[]
    const isFirsts = accumulators.every((one) => {
      return typeof one === 'object' && one !== null && '$first' in one
    })
    const isSorted = Object.keys(pattern).some((path) => rootOf(path) === field)
    if (!isFirsts || isSorted || facts.scalars?.includes(field) !== true) return undefined
    const ascending = { [field]: 1, ...pattern }
    const descending = { [field]: -1, ...pattern }
    const body = [ascending, descending].find((wanted) => hasIndex(facts, wanted))
    if (body === undefined) return undefined
    const reason = `an index begins with ${field}, which is the same in a group`
    return { count: 2, stages: [{ name: '$sort', body }, next], reason }
  },
}

export const orderRules: readonly Rule[] = [
  lookupDropped,
  limitsMerged,
  skipsMerged,
  sortOverridden,
  sortBeforeCountDropped,
  movedBehindLimit,
  sortLedByGroupKey,
]

function isOrderOrCut(stage: Stage | undefined, moved: Stage): boolean {
  if (stage === undefined) return false
  if (stage.name === '$limit' || stage.name === '$skip') return true
  const pattern = sortPatternOf(stage)
  if (pattern === undefined) return false
  return Object.keys(pattern).every((path) => leavesAlone(moved, rootOf(path)))
}

/** The whole number of a `$limit` or `$skip`. */
function amountOf(stage: Stage | undefined, name: string): number | undefined {
  if (stage?.name !== name || typeof stage.body !== 'number') return undefined
  return Number.isSafeInteger(stage.body) && stage.body >= 0 ? stage.body : undefined
}

/** Whether an index has just these keys, or all of them the other way round. */
function hasIndex({ indexes = [] }: PipelineFacts, wanted: Record<string, unknown>): boolean {
  const paths = Object.keys(wanted)
  return indexes.some((index) => {
    const keys = Object.keys(index)
    if (keys.length !== paths.length || keys.some((key, at) => key !== paths[at])) return false
    const isForward = paths.every((path) => index[path] === wanted[path])
    return isForward || paths.every((path) => index[path] !== wanted[path])
  })
}
