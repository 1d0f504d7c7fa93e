import type { JobPriority } from '../queue-engine.ts'

/** A workflow as it is stored: JSON that every worker can go on with, whatever tasks it knows. */
export type Plan =
  | StepPlan
  | { readonly kind: 'chain'; readonly steps: readonly Plan[] }
  | {
      readonly kind: 'group'
      readonly steps: readonly Plan[]
      /** Its results are lists, which are joined. */
      readonly isFlat?: boolean
    }
  | { readonly kind: 'each'; readonly step: StepPlan }

export interface StepPlan {
  readonly kind: 'step'
  readonly task: string
  readonly queue: string
  readonly maxAttempts: number
  /** Its own input; without, it takes what the step before it returned. */
  readonly input?: { readonly value: unknown }
  /** How many inputs its own input is made of. */
  readonly chunk?: number
  readonly priority?: JobPriority
  readonly delayMs?: number
}

/** The part of a plan at a path of indices such as `0.2`; the plan itself at the empty one. */
export function planAt(plan: Plan, path: string): Plan | undefined {
  let at: Plan | undefined = plan
  for (const index of path === '' ? [] : path.split('.')) {
    if (at === undefined || at.kind === 'step') return undefined
    at = at.kind === 'each' ? at.step : at.steps[Number(index)]
  }
  return at
}

/** Where a path hangs, and at which place there; `undefined` for the whole. */
export function parentOf(
  path: string,
): { readonly path: string; readonly index: number } | undefined {
  if (path === '') return undefined
  const dot = path.lastIndexOf('.')
  return { path: dot < 0 ? '' : path.slice(0, dot), index: Number(path.slice(dot + 1)) }
}

/** A path one level down. */
export function childOf(path: string, index: number): string {
  return path === '' ? String(index) : `${path}.${index}`
}

/** The same plan with every step changed. */
export function mapSteps(plan: Plan, change: (step: StepPlan) => StepPlan): Plan {
  switch (plan.kind) {
    case 'step':
      return change(plan)
    case 'each':
      return { ...plan, step: change(plan.step) }
    case 'chain':
    case 'group':
      return { ...plan, steps: plan.steps.map((step) => mapSteps(step, change)) }
  }
}
