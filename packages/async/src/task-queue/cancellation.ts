import type { QueueEngine } from './queue-engine.ts'

/** Who listens to it hears of running jobs to be cancelled: a {@link Cancellation} as JSON. */
export const CANCEL_TOPIC = 'cancel'

/** A job that is to end. */
export interface Cancellation {
  readonly queue: string
  readonly jobId: string
  readonly reason: string
}

/** How long a cancellation waits for a job whose worker died with it. */
const CANCEL_TTL_MS = 24 * 3_600_000

/** Under which a running job's cancellation is noted, for a run that begins after it. */
export function cancelKey(queue: string, jobId: string): string {
  return `cancel:${queue}:${jobId}`
}

/** Ends a job wherever it is. `false` if it had ended. */
export async function cancelJob(
  engine: QueueEngine,
  queue: string,
  id: string,
  reason: string,
): Promise<boolean> {
  const state = await engine.cancel(queue, id, reason)
  if (state !== 'running') return state === 'cancelled'
  const cancellation: Cancellation = { queue, jobId: id, reason }
  // Noted first: should its worker be gone, the next run finds the note.
  await engine.state.put(cancelKey(queue, id), reason, { ttlMs: CANCEL_TTL_MS })
  await engine.signals.publish(CANCEL_TOPIC, JSON.stringify(cancellation))
  return true
}
