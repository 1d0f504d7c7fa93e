import type { Document } from 'mongodb'
import { conjunctsOf, filterOf, movableReads } from './match-filter.ts'
import { pastGroup } from './match-past-group.ts'
import type { Rule } from './rule.ts'
import { bodyOf, keyOf, rootOf, type Stage } from './stage.ts'
import { changesWithin, leavesAlone, projectMode } from './stage-effects.ts'

/** Stages that pass documents on one by one, or drop or repeat them without looking at the others. */
const PASSED: ReadonlySet<string> = new Set([
  '$sort',
  '$set',
  '$addFields',
  '$unset',
  '$project',
  '$unwind',
  '$lookup',
  '$graphLookup',
])

/** `{ $match: A }, { $match: B }` is `{ $match: A and B }`; what is wanted twice is wanted once. */
const matchMerged: Rule = {
  id: 'match-merged',
  movesFilters: true,
  apply(stages, index) {
    const first = bodyOf(stages[index], '$match')
    const second = bodyOf(stages[index + 1], '$match')
    if (first === undefined || second === undefined) return undefined
    const conjuncts = [...conjunctsOf(first), ...conjunctsOf(second)]
    const distinct = new Map(conjuncts.map((conjunct) => [keyOf(conjunct), conjunct]))
    const reason = 'a document must match both'
    return { count: 2, stages: [matchStage([...distinct.values()])], reason }
  },
}

const emptyMatchDropped: Rule = {
  id: 'empty-match-dropped',
  apply(stages, index) {
    const filter = bodyOf(stages[index], '$match')
    if (filter === undefined || Object.keys(filter).length > 0) return undefined
    return { count: 1, stages: [], reason: 'an empty filter matches every document' }
  },
}

/** The parts of a filter that do not look at what the stage before it makes go ahead of that stage. */
const matchMovedAhead: Rule = {
  id: 'match-before',
  movesFilters: true,
  apply(stages, index) {
    const stage = stages[index]
    const filter = bodyOf(stages[index + 1], '$match')
    if (stage === undefined || filter === undefined) return undefined
    const passes = passOf(stage)
    if (passes === undefined) return undefined
    const pass: Pass = (conjunct) => {
      const moved = passes(conjunct)
      return moved !== undefined && mayStandAt(stages, index, moved) ? moved : undefined
    }
    const conjuncts = conjunctsOf(filter)
    const ahead: Document[] = []
    const behind: Document[] = []
    for (const conjunct of conjuncts) {
      const moved = pass(conjunct)
      if (moved === undefined) behind.push(conjunct)
      else ahead.push(moved)
    }
    if (ahead.length === 0) return undefined
    const rest = behind.length === 0 ? [] : [matchStage(behind)]
    return {
      id: `match-before-${stage.name.slice(1)}`,
      count: 2,
      stages: [matchStage(ahead), stage, ...rest],
      reason: `${stage.name} does not change ${fieldsOf(ahead)}`,
    }
  },
}

/** Conditions that every branch of a `$facet` begins with hold for all documents that matter. */
const facetMatchHoisted: Rule = {
  id: 'facet-match-hoisted',
  movesFilters: true,
  apply(stages, index) {
    const branches = facetFilters(stages[index])
    if (branches === undefined) return undefined
    const keys = branches.map(({ conjuncts }) => new Set(conjuncts.map(keyOf)))
    const isCommon = (conjunct: Document): boolean => {
      return mayStandAt(stages, index, conjunct) && keys.every((set) => set.has(keyOf(conjunct)))
    }
    const common = (branches[0]?.conjuncts ?? []).filter(isCommon)
    if (common.length === 0) return undefined
    const facet = Object.fromEntries(
      branches.map(({ name, conjuncts, rest }) => {
        const others = conjuncts.filter((conjunct) => !isCommon(conjunct))
        return [name, others.length === 0 ? rest : [{ $match: filterOf(others) }, ...rest]]
      }),
    )
    // A branch of no stages is refused by the server.
    for (const [name, branch] of Object.entries(facet)) {
      if (branch.length === 0) facet[name] = [{ $match: {} }]
    }
    const reason = `every branch begins by wanting ${fieldsOf(common)}`
    return { count: 1, stages: [matchStage(common), { name: '$facet', body: facet }], reason }
  },
}

/** A document that no branch of a leading `$facet` wants needs not be read; an index can tell. */
const facetUnionHoisted: Rule = {
  id: 'facet-union-hoisted',
  apply(stages, index, { startsAtCollection }) {
    const stage = stages[index]
    const branches = index === 0 && startsAtCollection ? facetFilters(stage) : undefined
    if (stage === undefined || branches === undefined) return undefined
    if (branches.some(({ conjuncts }) => conjuncts.length === 0)) return undefined
    const filters = branches.map(({ conjuncts }) => filterOf(conjuncts))
    const union: Stage = { name: '$match', body: { $or: filters } }
    return { count: 1, stages: [union, stage], reason: 'every branch begins with a filter' }
  },
}

export const matchRules: readonly Rule[] = [
  emptyMatchDropped,
  facetMatchHoisted,
  matchMerged,
  matchMovedAhead,
  facetUnionHoisted,
]

function matchStage(conjuncts: readonly Document[]): Stage {
  return { name: '$match', body: filterOf(conjuncts) }
}

/** Whether no stage before the position changes a part of a field that the filter looks at. */
function mayStandAt(stages: readonly Stage[], index: number, filter: Document): boolean {
  const reads = movableReads(filter)
  if (reads === undefined) return false
  return !stages.slice(0, index).some((stage) => {
    return [...reads].some((root) => changesWithin(stage, root))
  })
}

type Pass = (conjunct: Document) => Document | undefined

/** How a part of a filter reads ahead of the stage, if it can. */
function passOf(stage: Stage): Pass | undefined {
  if (stage.name === '$group') return (conjunct) => pastGroup(stage, conjunct)
  if (!PASSED.has(stage.name)) return undefined
  return (conjunct) => {
    const reads = movableReads(conjunct)
    if (reads === undefined) return undefined
    if ([...reads].every((root) => leavesAlone(stage, root))) return conjunct
    return renamed(stage, conjunct)
  }
}

/** A filter on a field that the stage copies from another: `{ b: '$a' }` makes `{ b: 1 }` into `{ a: 1 }`. */
function renamed(stage: Stage, conjunct: Document): Document | undefined {
  const [entry] = Object.entries(conjunct) as [string, unknown][]
  const body = bodyOf(stage, stage.name)
  const canCopy = stage.name === '$project' || stage.name === '$set' || stage.name === '$addFields'
  if (!canCopy || body === undefined || entry === undefined || entry[0].startsWith('$')) {
    return undefined
  }
  if (stage.name === '$project' && projectMode(body) !== 'inclusion') return undefined
  const root = rootOf(entry[0])
  const source: unknown = body[root]
  const isCopy = typeof source === 'string' && /^\$[^$.]+$/.test(source)
  if (!isCopy) return undefined
  return { [source.slice(1) + entry[0].slice(root.length)]: entry[1] }
}

interface Branch {
  readonly name: string
  readonly conjuncts: readonly Document[]
  readonly rest: readonly Document[]
}

/**
 * The branches of a `$facet`, where each begins with a `$match` that fails on no document: a part
 * that can fail may rely on another part to keep documents from it.
 */
function facetFilters(stage: Stage | undefined): readonly Branch[] | undefined {
  const facet = bodyOf(stage, '$facet')
  if (facet === undefined) return undefined
  const branches = Object.entries(facet).flatMap(([name, branch]: [string, unknown]): Branch[] => {
    const [first, ...rest] = Array.isArray(branch) ? (branch as Document[]) : []
    const filter: unknown = first?.['$match']
    const body = bodyOf({ name: '$match', body: filter }, '$match')
    const conjuncts = body === undefined ? [] : conjunctsOf(body)
    if (body === undefined || conjuncts.some((one) => movableReads(one) === undefined)) return []
    return [{ name, conjuncts, rest }]
  })
  return branches.length > 0 && branches.length === Object.keys(facet).length ? branches : undefined
}

function fieldsOf(conjuncts: readonly Document[]): string {
  const roots = conjuncts.flatMap((conjunct) => [...(movableReads(conjunct) ?? [])])
  return [...new Set(roots)].join(', ') || 'what is compared'
}
