import type { Plan, PlanNode } from './plan-tree.ts'

/** A quoted name, which stays; or a string or number, which goes. Numbers inside of names and `$1` stay. */
const LITERAL =
  /"(?:[^"]|"")*"|[eE]?'(?:[^']|'')*'|(?<![\w$."])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w"])/g

/** An expression with `?` in place of the literal values in it. */
export function redactLiterals(expression: string): string {
  return expression.replace(LITERAL, (found) => (found.startsWith('"') ? found : '?'))
}

/** A plan without literal values. */
export function redactPlan(plan: Plan): Plan {
  return { ...plan, root: redactNode(plan.root) }
}

function redactNode(node: PlanNode): PlanNode {
  const conditions = Object.entries(node.conditions).map(([name, text]) => {
    return [name, redactLiterals(text)] as const
  })
  return {
    ...node,
    conditions: Object.fromEntries(conditions),
    children: node.children.map(redactNode),
  }
}
