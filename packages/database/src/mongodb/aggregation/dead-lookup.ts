import type { Document } from 'mongodb'
import { readsRoot } from './field-reads.ts'
import { isPlainObject, rootOf, stageOf, type Stage } from './stage.ts'
import { leavesAlone, pathsOf, projectMode, stageReads, unwoundRoots } from './stage-effects.ts'

/** `removed`: dropped where it stands, in the same document. */
type Fate = 'dead' | 'removed' | 'alive' | 'open'

/**
 * Whether a field, set now, makes no difference to what comes out: no stage reads it before one
 * drops it. What the field held before is then not read either.
 */
export function lookupIsDead(field: string, stages: readonly Stage[]): boolean {
  let mayAddFields = false
  for (const [index, stage] of stages.entries()) {
    const fate = fateIn(stage, field, mayAddFields)
    if (fate === 'removed') return !comesBack(field, stages.slice(index + 1))
    if (fate !== 'open') return fate === 'dead'
    mayAddFields ||= addsFields(stage)
  }
  return false
}

/** Whether a removed field may be set again: the server gives it the place that it had. */
function comesBack(field: string, stages: readonly Stage[]): boolean {
  for (const stage of stages) {
    const { name, body } = stage
    if (name === '$group' || name === '$count' || name === '$sortByCount') return false
    if (name === '$project' && isPlainObject(body) && projectMode(body) === 'inclusion')
      return false
    if (!leavesAlone(stage, field) && name !== '$unset') return true
  }
  return false
}

function fateIn(stage: Stage, field: string, mayAddFields: boolean): Fate {
  const { name, body } = stage
  switch (name) {
    case '$unionWith':
      return 'open'
    case '$facet':
      return everyBranch(body, (branch) => lookupIsDead(field, branch)) ? 'dead' : 'alive'
    default:
  }
  if (readsRoot(stageReads(stage), field)) return 'alive'
  switch (name) {
    case '$match':
    case '$sort':
    case '$limit':
    case '$skip':
      return 'open'
    case '$unwind':
      return unwoundRoots(body).has(field) ? 'alive' : 'open'
    case '$unset':
      return pathsOf(body).includes(field) ? 'removed' : 'open'
    case '$project':
      if (!isPlainObject(body)) return 'alive'
      // An inclusion that does not read it, which is what passing it on would be, drops it.
      if (projectMode(body) === 'inclusion') return 'dead'
      return field in body ? 'removed' : 'open'
    case '$set':
    case '$addFields':
      return isPlainObject(body) ? fateOfSet(body, field, mayAddFields) : 'alive'
    case '$lookup': {
      const as: unknown = isPlainObject(body) ? body['as'] : undefined
      return typeof as === 'string' ? fateOfSet({ [as]: null }, field, mayAddFields) : 'alive'
    }
    default:
      // The other stages whose reads are known make new documents of what they read.
      return 'dead'
  }
}

/**
 * A field that is set anew is dead as it was. But it keeps its place among the fields, which would
 * be another one if fields came in between; and an object sets fields within it.
 */
function fateOfSet(body: Document, field: string, mayAddFields: boolean): Fate {
  const paths = Object.keys(body)
  if (!paths.some((path) => rootOf(path) === field)) return 'open'
  const isWhole = paths.length === 1 && paths[0] === field && !isPlainObject(body[field])
  return isWhole && !mayAddFields ? 'dead' : 'alive'
}

function addsFields({ name, body }: Stage): boolean {
  if (name === '$unwind') return isPlainObject(body) && 'includeArrayIndex' in body
  return name === '$set' || name === '$addFields' || name === '$lookup'
}

function everyBranch(facet: unknown, check: (stages: readonly Stage[]) => boolean): boolean {
  if (!isPlainObject(facet)) return false
  return Object.values(facet).every((branch: unknown) => {
    if (!Array.isArray(branch)) return false
    const stages = branch.map((one: unknown) => (isPlainObject(one) ? stageOf(one) : undefined))
    return stages.every((stage) => stage !== undefined) && check(stages)
  })
}
