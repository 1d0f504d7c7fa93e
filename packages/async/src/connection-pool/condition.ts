import { toError } from '@dharma/core'

/** Lets callers wait until something about changing state holds. */
export class Condition {
  readonly #checks = new Set<() => void>()

  /** To be called after each change. Costs next to nothing while nobody waits. */
  notify(): void {
    if (this.#checks.size === 0) return
    for (const check of this.#checks) check()
  }

  /** Resolves once `isMet` holds; rejects with what it throws or with the signal's reason. */
  until(isMet: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#checks.delete(check)
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        leave()
        reject(toError(signal?.reason))
      }
      const check = (): void => {
        try {
          if (!isMet()) return
          resolve()
        } catch (error) {
          reject(toError(error))
        }
        leave()
      }
      if (signal?.aborted === true) {
        onAbort()
        return
      }
      this.#checks.add(check)
      signal?.addEventListener('abort', onAbort)
      check()
    })
  }
}
