import { AsyncLocalStorage } from 'node:async_hooks'
import type { QueryPerformanceSettings } from './query-performance-options.ts'
import type { QueryTally } from './query-tally.ts'

/** A fingerprint that requests of one name send many times: mostly a loop that one query could replace. */
export interface RepeatedQuery {
  readonly request: string
  readonly fingerprint: string
  readonly statement: string
  /** How often one request has sent it, at most. */
  readonly count: number
  /** How many requests have repeated it. */
  readonly requests: number
  /** When it was first noticed, in milliseconds since the Unix epoch. */
  readonly sinceMs: number
}

interface Repeated {
  readonly request: string
  readonly tally: QueryTally
  readonly sinceMs: number
  count: number
  requests: number
}

interface Request {
  readonly name: string
  readonly counts: Map<QueryTally, number>
}

const MAX_REPEATED = 200

/** Notices what one request sends again and again. Costs one comparison while no request is open. */
export class RepeatedQueries {
  readonly #settings: QueryPerformanceSettings
  readonly #requests = new AsyncLocalStorage<Request>()
  readonly #repeated: Repeated[] = []
  #open = 0

  constructor(settings: QueryPerformanceSettings) {
    this.#settings = settings
  }

  async run<R>(name: string, fn: () => Promise<R>): Promise<R> {
    this.#open += 1
    try {
      return await this.#requests.run({ name, counts: new Map() }, fn)
    } finally {
      this.#open -= 1
    }
  }

  count(tally: QueryTally): void {
    if (this.#open > 0) this.#countIn(this.#requests.getStore(), tally)
  }

  /** Those that cost most statements first. */
  list(): RepeatedQuery[] {
    return this.#repeated
      .map(({ tally: { fingerprint, statement }, ...rest }) => ({
        ...rest,
        fingerprint,
        statement,
      }))
      .toSorted((a, b) => b.count * b.requests - a.count * a.requests)
  }

  #countIn(request: Request | undefined, tally: QueryTally): void {
    if (request === undefined) return
    const count = (request.counts.get(tally) ?? 0) + 1
    request.counts.set(tally, count)
    const { repeatedFrom, clock } = this.#settings
    if (count < repeatedFrom) return
    const { name } = request
    let known = this.#repeated.find((one) => one.request === name && one.tally === tally)
    if (known === undefined) {
      known = { request: name, tally, sinceMs: clock.now(), count, requests: 0 }
      this.#repeated.push(known)
      if (this.#repeated.length > MAX_REPEATED) this.#repeated.shift()
    }
    known.count = Math.max(known.count, count)
    if (count > repeatedFrom) return
    known.requests += 1
    this.#tell(name, tally, count)
  }

  #tell(request: string, { fingerprint }: QueryTally, count: number): void {
    const { onRepeated, onError } = this.#settings
    try {
      onRepeated?.({ request, fingerprint, count })
    } catch (error) {
      onError(error)
    }
  }
}
