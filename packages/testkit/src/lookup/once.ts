/** Runs an asynchronous function at the first call and gives its outcome to all; a failure is tried anew. */
export function once<T>(produce: () => Promise<T>): () => Promise<T> {
  let outcome: Promise<T> | undefined
  return () => {
    outcome ??= produce().catch((error: unknown) => {
      outcome = undefined
      throw error
    })
    return outcome
  }
}
