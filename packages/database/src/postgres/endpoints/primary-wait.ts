import { ClosedError, toError } from '@dharma/core'
import type { PostgresSettings } from '../postgres-options.ts'

/** Where operations wait while no server can serve them, though not for ever. */
export class PrimaryWait {
  readonly #settings: PostgresSettings
  readonly #isServed: () => boolean
  /** When the primary was lost; `undefined` while there is one. */
  #lostSinceMs: number | undefined
  #changed = Promise.withResolvers<void>()
  #isClosed = false

  /** @param isServed whether there is a primary that takes statements */
  constructor(settings: PostgresSettings, isServed: () => boolean) {
    this.#settings = settings
    this.#isServed = isServed
  }

  /** To be called when something about a server is no longer as it was. */
  onChange(): void {
    if (this.#isServed()) this.#lostSinceMs = undefined
    else this.#lostSinceMs ??= this.#settings.clock.monotonicMs()
    const before = this.#changed
    this.#changed = Promise.withResolvers()
    before.resolve()
  }

  /**
   * True as soon as there is a primary; false when `untilMs` is over, or the primary has been away
   * for `outageWaitMs`. Rejects with the signal's reason.
   */
  async isServed(untilMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { clock, outageWaitMs, name } = this.#settings
    for (;;) {
      if (this.#isClosed) throw new ClosedError(name)
      signal?.throwIfAborted()
      const nowMs = clock.monotonicMs()
      if (nowMs < untilMs && this.#isServed()) return true
      const endMs = Math.min(untilMs, (this.#lostSinceMs ?? nowMs) + outageWaitMs)
      if (nowMs >= endMs) return false
      await this.#nextChange(endMs - nowMs, signal)
    }
  }

  close(): void {
    this.#isClosed = true
    this.onChange()
  }

  async #nextChange(withinMs: number, signal: AbortSignal | undefined): Promise<void> {
    const waited = new AbortController()
    const abort = (): void => waited.abort(toError(signal?.reason))
    signal?.addEventListener('abort', abort, { once: true })
    const late = this.#settings.clock.sleep(withinMs, waited.signal).catch(() => undefined)
    await Promise.race([this.#changed.promise, late])
    signal?.removeEventListener('abort', abort)
    waited.abort()
  }
}
