import { setTimeout as delay } from 'node:timers/promises'

/** How {@link until} waits. */
export interface UntilOptions {
  readonly timeoutMs: number
  /** Time between two looks. @default 15 */
  readonly everyMs?: number
  readonly signal?: AbortSignal | undefined
}

/** What {@link until} ends with: the value, or the limit passed, with the last error of the probe. */
export type UntilOutcome<T> =
  | { readonly met: true; readonly value: T }
  | { readonly met: false; readonly lastError: unknown }

/**
 * Looks again and again until the probe gives a value other than undefined. A probe that throws counts as
 * "not yet". Rejects only with the signal's reason.
 */
export async function until<T>(
  probe: () => Promise<T | undefined> | T | undefined,
  { timeoutMs, everyMs = 15, signal }: UntilOptions,
): Promise<UntilOutcome<T>> {
  const deadline = performance.now() + timeoutMs
  let lastError: unknown
  for (;;) {
    signal?.throwIfAborted()
    try {
      const value = await probe()
      if (value !== undefined) return { met: true, value }
    } catch (error) {
      lastError = error
    }
    if (performance.now() >= deadline) return { met: false, lastError }
    await delay(everyMs, undefined, { signal })
  }
}
