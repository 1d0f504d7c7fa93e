import { ServerUnavailableError, type Attempt } from '../errors.ts'
import type { Origin, ServerKind } from '../test-server.ts'

/** What a way to a server ends with: the thing, or why not, in words. */
export type Finding<T> = { readonly found: T } | { readonly refusal: string }

/** One way to get a server. */
export interface Way<T> {
  readonly origin: Origin
  /** The thing looked for, for example `mongod in PATH`. */
  readonly what: string
  readonly find: () => Promise<Finding<T>>
}

/**
 * The first thing that one of the ways gives, in their order. A way that throws counts as refused.
 * @throws ServerUnavailableError with all that was tried.
 */
export async function firstAvailable<T>(
  kind: ServerKind,
  ways: readonly Way<T>[],
  advice: string,
): Promise<T> {
  const tried: Attempt[] = []
  const causes: unknown[] = []
  for (const { origin, what, find } of ways) {
    try {
      const finding = await find()
      if ('found' in finding) return finding.found
      tried.push({ origin, what, refusal: finding.refusal })
    } catch (error) {
      causes.push(error)
      tried.push({ origin, what, refusal: error instanceof Error ? error.message : String(error) })
    }
  }
  throw new ServerUnavailableError(kind, tried, advice, { cause: causes[0] })
}
