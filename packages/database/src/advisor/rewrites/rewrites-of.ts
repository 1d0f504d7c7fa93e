import { parseStatement, parseTree, SqlSyntaxError } from '../../sql/index.ts'
import type { RewriteAdvice } from '../advice.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import type { Catalog } from '../catalog/catalog.ts'
import {
  anyOfArray,
  castOnColumn,
  functionOnColumn,
  leadingWildcard,
  notInSubquery,
} from './condition-rules.ts'
import { missingLimit, offsetPaging, selectStar } from './result-rules.ts'
import type { RewriteRule } from './rule.ts'

const RULES: readonly RewriteRule[] = [
  functionOnColumn,
  castOnColumn,
  leadingWildcard,
  anyOfArray,
  notInSubquery,
  offsetPaging,
  selectStar,
  missingLimit,
]

/** Statements that could be written better, each fingerprint and rule once. */
export async function rewritesOf(
  analyzed: readonly AnalyzedEntry[],
  { server }: Catalog,
): Promise<readonly RewriteAdvice[]> {
  const found = new Map<string, RewriteAdvice>()
  for (const { entry, shape } of analyzed) {
    const { text, fingerprint, statement: before, calls } = entry
    const [node, ...others] = await parseTree(text)
    if (node === undefined || others.length > 0) continue
    for (const rule of RULES) {
      const rewrite = rule({ text, node, shape, server })
      const key = `${rewrite?.code} ${fingerprint}`
      if (rewrite === undefined || found.has(key)) continue
      const after = await shown(rewrite.after)
      if (after === undefined) continue
      const { code, why, isEquivalent } = rewrite
      found.set(key, {
        kind: 'rewrite',
        code,
        fingerprint,
        before,
        after,
        why,
        calls,
        isEquivalent,
      })
    }
  }
  return [...found.values()].toSorted((a, b) => b.calls - a.calls)
}

/** The text without constants; `undefined` where the change has not given SQL. */
async function shown(text: string): Promise<string | undefined> {
  try {
    return (await parseStatement(text)).normalized
  } catch (error) {
    // A statement written in a way the rule did not expect is left as it is.
    if (error instanceof SqlSyntaxError) return undefined
    throw error
  }
}
