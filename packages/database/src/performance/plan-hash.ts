import { hash } from 'node:crypto'
import type { PlanNode } from '../postgres/index.ts'

/** Equal for plans that do the same by the same indexes, whatever they cost. */
export function planHash(root: PlanNode): string {
  return hash('sha256', wordsOf(root), 'hex').slice(0, 16)
}

function wordsOf({ type, relation, index = '', children }: PlanNode): string {
  return `${type}(${relation?.name ?? ''},${index})[${children.map(wordsOf).join()}]`
}
