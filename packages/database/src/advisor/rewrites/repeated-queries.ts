import { parseStatement, parseTree, visitNodes, type SqlNode } from '../../sql/index.ts'
import type { RepeatedQuery } from '../../performance/index.ts'
import type { RewriteAdvice } from '../advice.ts'
import { lastName } from '../analysis/node-access.ts'
import { rangeOf, replaceRanges, type TextRange } from './text-range.ts'

/** Queries that one request sends again and again (N+1), each as one query for all its keys. */
export async function repeatedQueriesOf(report: {
  readonly repeated: readonly Pick<RepeatedQuery, 'fingerprint' | 'statement' | 'count'>[]
}): Promise<readonly RewriteAdvice[]> {
  const found = new Map<string, RewriteAdvice>()
  for (const { fingerprint, statement: before, count } of report.repeated) {
    const known = found.get(fingerprint)
    if (known !== undefined) {
      found.set(fingerprint, { ...known, calls: known.calls + count })
      continue
    }
    const after = await allAtOnce(before)
    if (after === undefined) continue
    found.set(fingerprint, {
      kind: 'rewrite',
      code: 'repeated-query',
      fingerprint,
      before,
      after,
      why: 'one request sends it for one key after another; one query for all keys saves the round trips (or a point loader, which does it for you)',
      calls: count,
      isEquivalent: false,
    })
  }
  return [...found.values()]
}

/** `x = $1` as `x = any($1)`, the first of the statement. */
async function allAtOnce(text: string): Promise<string | undefined> {
  const nodes = await parseTree(text).catch(() => [])
  let range: TextRange | undefined
  visitNodes(nodes, {
    A_Expr: ({ kind, name, lexpr, rexpr }) => {
      const isKey = kind === 'AEXPR_OP' && lastName(name) === '=' && isColumn(lexpr)
      if (range === undefined && isKey && isParameter(rexpr)) range = rangeOf(text, rexpr)
    },
  })
  if (range === undefined) return undefined
  const parameter = text.slice(range.start, range.end)
  return (await parseStatement(replaceRanges(text, [[range, `any(${parameter})`]]))).normalized
}

function isColumn(node: SqlNode | undefined): boolean {
  return node !== undefined && 'ColumnRef' in node
}

function isParameter(node: SqlNode | undefined): boolean {
  return node !== undefined && 'ParamRef' in node
}
