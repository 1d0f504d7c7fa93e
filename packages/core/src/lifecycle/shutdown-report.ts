import type { Stage } from './stages.ts'

/** How one hook ended; `abandoned` if it was still going at its stage's limit. */
export interface HookReport {
  readonly name: string
  readonly outcome: 'done' | 'failed' | 'abandoned'
  /** Until it ended or was abandoned. */
  readonly durationMs: number
  /** Took more than half of its stage's limit, or in `close` so long that the next began beside it. */
  readonly isSlow: boolean
  /** Why it failed; without secrets. */
  readonly reason?: string
}

/** How one stage went. */
export interface StageReport {
  readonly stage: Stage
  readonly limitMs: number
  readonly durationMs: number
  /** In the order in which they were begun. */
  readonly hooks: readonly HookReport[]
}

/** How a shutdown went. */
export interface ShutdownReport {
  /** What asked for it: the signal's name, or the caller's words. */
  readonly reason: string
  readonly durationMs: number
  /** Whether every hook ended well within its limit. */
  readonly isClean: boolean
  readonly stages: readonly StageReport[]
  /** `stage/hook` of what failed. */
  readonly failed: readonly string[]
  /** `stage/hook` of what was given up. */
  readonly abandoned: readonly string[]
  /** `stage/hook` of what was slow, the abandoned included. */
  readonly slow: readonly string[]
}

/** Sums the stages up. */
export function summarize(
  reason: string,
  durationMs: number,
  stages: readonly StageReport[],
): ShutdownReport {
  const namesWhere = (matches: (hook: HookReport) => boolean): string[] =>
    stages.flatMap(({ stage, hooks }) =>
      hooks.filter((hook) => matches(hook)).map(({ name }) => `${stage}/${name}`),
    )
  const failed = namesWhere(({ outcome }) => outcome === 'failed')
  const abandoned = namesWhere(({ outcome }) => outcome === 'abandoned')
  return {
    reason,
    durationMs,
    isClean: failed.length === 0 && abandoned.length === 0,
    stages,
    failed,
    abandoned,
    slow: namesWhere(({ isSlow }) => isSlow),
  }
}
