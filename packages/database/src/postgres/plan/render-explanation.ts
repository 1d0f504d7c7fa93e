import type { Explanation } from './explain.ts'
import type { PlanNode } from './plan-tree.ts'

/** A plan as a tree of text, each finding under the step it is about. */
export function renderExplanation(explanation: Explanation): string {
  const { planningMs, executionMs, findings } = explanation
  const lines = nodeLines(explanation.root, explanation)
  if (planningMs !== undefined) lines.push(`planned in ${ms(planningMs)}`)
  if (executionMs !== undefined) lines.push(`run in ${ms(executionMs)}`)
  lines.push(
    findings.length === 0
      ? 'nothing found'
      : `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`,
  )
  return lines.join('\n')
}

function nodeLines(node: PlanNode, explanation: Explanation): string[] {
  const lines = [`${titleOf(node)}  ${figuresOf(node)}`]
  for (const [name, text] of Object.entries(node.conditions)) lines.push(`   ${name}: ${text}`)
  for (const finding of explanation.findings) {
    if (finding.nodeId !== node.id) continue
    lines.push(`   ! ${finding.severity}: ${finding.message}`, `     → ${finding.remedy}`)
  }
  for (const child of node.children) {
    const [first = '', ...rest] = nodeLines(child, explanation)
    lines.push(`└─ ${first}`, ...rest.map((line) => `   ${line}`))
  }
  return lines
}

function titleOf({ type, relation, index }: PlanNode): string {
  const using = index === undefined ? '' : ` using ${index}`
  if (relation === undefined) return type + using
  const { name, alias } = relation
  return `${type}${using} on ${name}${alias === undefined || alias === name ? '' : ` as ${alias}`}`
}

function figuresOf({ actual, estimated }: PlanNode): string {
  const expected = `${estimated.rows} expected, cost ${estimated.totalCost}`
  if (actual === undefined) return `(${expected})`
  if (actual.loops === 0) return `(never ran, ${expected})`
  const loops = actual.loops === 1 ? '' : `, ${actual.loops} times`
  return `(${ms(actual.totalMs)}, ${actual.rows} rows${loops}, ${expected})`
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`
}
