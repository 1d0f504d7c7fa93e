import type { Plan, PlanActual, PlanNode, PlanSpill } from './plan-tree.ts'

type Json = Readonly<Record<string, unknown>>

/** Fields of a step that are conditions or keys: text that may hold literal values. */
const CONDITION = /(?:Cond|Filter|Key|Keys|Function Call)$/

/** @throws TypeError for anything but what `EXPLAIN (FORMAT JSON)` returns */
export function parsePlan(output: unknown): Plan {
  const top: unknown = Array.isArray(output) ? output[0] : undefined
  if (!isJson(top) || !isJson(top['Plan'])) {
    throw new TypeError('the plan must be the output of EXPLAIN (FORMAT JSON)')
  }
  const jit = top['JIT']
  const executionMs = numberOf(top['Execution Time'])
  return {
    root: new TreeReader().read(top['Plan']),
    isAnalyzed: executionMs !== undefined,
    planningMs: numberOf(top['Planning Time']),
    executionMs,
    jit: isJson(jit)
      ? { functions: zeroOr(jit['Functions']), totalMs: timingOf(jit['Timing']) }
      : undefined,
    triggers: listOf(top['Triggers']).map((trigger) => ({
      name: textOf(trigger['Constraint Name']) ?? textOf(trigger['Trigger Name']) ?? '',
      calls: zeroOr(trigger['Calls']),
      totalMs: zeroOr(trigger['Time']),
    })),
  }
}

class TreeReader {
  #nextId = 0

  read(json: Json): PlanNode {
    const id = this.#nextId++
    const name = textOf(json['Relation Name'])
    return {
      id,
      type: textOf(json['Node Type']) ?? 'Unknown',
      relationship: textOf(json['Parent Relationship']),
      relation:
        name === undefined
          ? undefined
          : { schema: textOf(json['Schema']), name, alias: textOf(json['Alias']) },
      index: textOf(json['Index Name']),
      conditions: conditionsOf(json),
      estimated: {
        rows: zeroOr(json['Plan Rows']),
        widthBytes: zeroOr(json['Plan Width']),
        startupCost: zeroOr(json['Startup Cost']),
        totalCost: zeroOr(json['Total Cost']),
      },
      actual: actualOf(json),
      spill: spillOf(json),
      children: listOf(json['Plans']).map((child) => this.read(child)),
    }
  }
}

function conditionsOf(json: Json): Readonly<Record<string, string>> {
  const entries = Object.entries(json).filter(([field, value]) => {
    // Of the same name are counts, such as `Rows Removed by Filter`.
    return CONDITION.test(field) && typeof value !== 'number'
  })
  return Object.fromEntries(
    entries.map(([field, value]) => [
      field,
      Array.isArray(value) ? value.join(', ') : String(value),
    ]),
  )
}

function actualOf(json: Json): PlanActual | undefined {
  const loops = numberOf(json['Actual Loops'])
  if (loops === undefined) return undefined
  return {
    rows: zeroOr(json['Actual Rows']),
    loops,
    startupMs: zeroOr(json['Actual Startup Time']),
    totalMs: zeroOr(json['Actual Total Time']),
    rowsRemovedByFilter: zeroOr(json['Rows Removed by Filter']),
    rowsRemovedByJoinFilter: zeroOr(json['Rows Removed by Join Filter']),
    rowsRemovedByRecheck: zeroOr(json['Rows Removed by Index Recheck']),
    heapFetches: zeroOr(json['Heap Fetches']),
    exactHeapBlocks: zeroOr(json['Exact Heap Blocks']),
    lossyHeapBlocks: zeroOr(json['Lossy Heap Blocks']),
    buffers: {
      sharedHit: zeroOr(json['Shared Hit Blocks']),
      sharedRead: zeroOr(json['Shared Read Blocks']),
      sharedWritten: zeroOr(json['Shared Written Blocks']),
      tempRead: zeroOr(json['Temp Read Blocks']),
      tempWritten: zeroOr(json['Temp Written Blocks']),
    },
  }
}

/** Parallel workers report for themselves. */
function spillOf(json: Json): PlanSpill | undefined {
  const all = [json, ...listOf(json['Workers'])]
  const sorts = all.filter((one) => one['Sort Space Type'] === 'Disk')
  if (sorts.length > 0) {
    return { kind: 'sort', diskKb: sum(sorts, 'Sort Space Used'), batches: 1 }
  }
  const hashBatches = Math.max(...all.map((one) => zeroOr(one['Hash Batches'])))
  if (hashBatches > 1) return { kind: 'hash', diskKb: undefined, batches: hashBatches }
  const diskKb = sum(all, 'Disk Usage')
  if (diskKb === 0) return undefined
  const batches = Math.max(1, ...all.map((one) => zeroOr(one['HashAgg Batches'])))
  return { kind: 'aggregate', diskKb, batches }
}

function sum(all: readonly Json[], field: string): number {
  return all.reduce((total, one) => total + zeroOr(one[field]), 0)
}

function timingOf(timing: unknown): number | undefined {
  return isJson(timing) ? numberOf(timing['Total']) : undefined
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isJson) : []
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function zeroOr(value: unknown): number {
  return numberOf(value) ?? 0
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
