import type { AlertDefinition } from './define-alerts.ts'

/** Where an alert stands, for one set of labels. Times are milliseconds since the epoch. */
export type AlertState =
  | { readonly status: 'inactive' }
  | {
      /** It is wrong, though not yet for long enough. */
      readonly status: 'pending'
      readonly sinceMs: number
      readonly value: number
    }
  | {
      readonly status: 'firing'
      /** Since when it is wrong. */
      readonly sinceMs: number
      readonly firingSinceMs: number
      readonly value: number
    }
  | {
      /** It fired and is right again; forgotten after 15 minutes. */
      readonly status: 'resolved'
      readonly sinceMs: number
      readonly firingSinceMs: number
      readonly resolvedAtMs: number
    }

export type AlertStatus = AlertState['status']

/**
 * The state after an evaluation at `nowMs`, as Prometheus decides: firing once it was wrong at every
 * evaluation for `forMs`, and no longer from the first at which it is right or has no value.
 */
export function nextState(
  state: AlertState,
  value: number | undefined,
  definition: AlertDefinition,
  nowMs: number,
): AlertState {
  const isWrong = value !== undefined && isBeyond(value, definition)
  switch (state.status) {
    case 'inactive':
    case 'resolved':
      if (!isWrong) return hasFaded(state, nowMs) ? { status: 'inactive' } : state
      return toActive(nowMs, value, definition, nowMs)
    case 'pending':
      if (!isWrong) return { status: 'inactive' }
      return toActive(state.sinceMs, value, definition, nowMs)
    case 'firing': {
      if (isWrong) return { ...state, value }
      const { sinceMs, firingSinceMs } = state
      return { status: 'resolved', sinceMs, firingSinceMs, resolvedAtMs: nowMs }
    }
  }
}

function toActive(
  sinceMs: number,
  value: number,
  { forMs = 0 }: AlertDefinition,
  nowMs: number,
): AlertState {
  if (nowMs - sinceMs < forMs) return { status: 'pending', sinceMs, value }
  return { status: 'firing', sinceMs, firingSinceMs: nowMs, value }
}

function hasFaded(state: AlertState, nowMs: number): boolean {
  return state.status === 'resolved' && nowMs - state.resolvedAtMs >= RESOLVED_FOR_MS
}

/** `NaN`, as zero by zero gives, is never beyond a limit. */
function isBeyond(value: number, { below, above }: AlertDefinition): boolean {
  return below === undefined ? value > above : value < below
}

const RESOLVED_FOR_MS = 15 * 60_000
