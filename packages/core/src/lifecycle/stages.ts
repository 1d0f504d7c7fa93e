import { requireRange } from '../range.ts'

/**
 * The way down, in order. **unready**: probes fail, requests are still served. **wait**: balancers
 * take notice. **stopAccepting**: nothing new comes in. **finish**: what is under way ends.
 * **close**: clients go, the last registered first. **flush**: logs and metrics get out.
 */
export type Stage = 'unready' | 'wait' | HookStage

/** The stages in which hooks run. */
export type HookStage = 'stopAccepting' | 'finish' | 'close' | 'flush'

/** How long things may take, in milliseconds, each at least 0. */
export interface LifecycleLimits {
  /** One start hook, unless it has a limit of its own. @default 30_000 */
  readonly startMs?: number
  /** How long requests are still taken after probes began to fail: a few periods of the probe. @default 5_000, or 0 without `health` */
  readonly waitMs?: number
  /** @default 2_000 */
  readonly stopAcceptingMs?: number
  /** @default 10_000 */
  readonly finishMs?: number
  /** @default 5_000 */
  readonly closeMs?: number
  /** @default 2_000 */
  readonly flushMs?: number
  /** All stages together. Keep it below the orchestrator's own patience, 30 s in Kubernetes. @default 25_000 */
  readonly totalMs?: number
}

/** In the order in which they come. */
export const HOOK_STAGES: readonly HookStage[] = ['stopAccepting', 'finish', 'close', 'flush']

/** The limits with defaults filled in. @throws RangeError naming the limit that is negative. */
export function resolveLimits(
  limits: LifecycleLimits,
  hasHealth: boolean,
): Required<LifecycleLimits> {
  const resolved = {
    startMs: 30_000,
    waitMs: hasHealth ? 5_000 : 0,
    stopAcceptingMs: 2_000,
    finishMs: 10_000,
    closeMs: 5_000,
    flushMs: 2_000,
    totalMs: 25_000,
    ...limits,
  }
  for (const [name, value] of Object.entries(resolved)) requireRange(`limits.${name}`, value, 0)
  return resolved
}
