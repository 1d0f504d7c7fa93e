import { tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'

/** What an operation tells its listeners. `result` and `error` are set when it has ended. */
export interface OperationContext {
  result?: unknown
  error?: unknown
}

/** The facts of an operation by name; anything but a string, number or boolean stays private. */
export type OperationFacts = Readonly<Record<string, unknown>>

export interface OperationOptions<Facts extends OperationFacts> {
  /**
   * Names of the facts that may leave the process, as attributes of spans. A fact that is not
   * named here (a key, a query, an address) is for listeners in this process only.
   */
  readonly attributes: readonly (keyof Facts & string)[]
  /** Whether the operation calls another system. @default 'internal' */
  readonly kind?: 'internal' | 'client'
}

/**
 * An operation that may be traced, with channels of its own on `node:diagnostics_channel`:
 * `tracing:NAME:start`, `end`, `asyncStart`, `asyncEnd` and `error`. While nobody listens, it costs
 * one look at whether somebody does. What a listener throws never reaches the caller: Node raises it
 * as an uncaught exception.
 */
export class Operation<Facts extends OperationFacts = OperationFacts> {
  /** `owner:component:operation`. */
  readonly name: string
  readonly attributes: readonly string[]
  readonly kind: 'internal' | 'client'
  readonly channel: TracingChannel<unknown, Facts & OperationContext>
  // Kept apart, for the fields of a `TracingChannel` are slow to reach.
  readonly #start: Channel
  readonly #end: Channel
  readonly #asyncStart: Channel
  readonly #asyncEnd: Channel
  readonly #error: Channel

  /** @throws RangeError when an attribute has a name that the channel itself uses. */
  constructor(name: string, { attributes, kind = 'internal' }: OperationOptions<Facts>) {
    for (const attribute of attributes) {
      if (attribute !== 'result' && attribute !== 'error') continue
      throw new RangeError(`operation '${name}': no attribute may be named '${attribute}'`)
    }
    this.name = name
    this.attributes = [...attributes]
    this.kind = kind
    this.channel = tracingChannel(name)
    this.#start = this.channel.start
    this.#end = this.channel.end
    this.#asyncStart = this.channel.asyncStart
    this.#asyncEnd = this.channel.asyncEnd
    this.#error = this.channel.error
  }

  /** Whether somebody listens: where even making the facts is too dear. */
  get isTraced(): boolean {
    return (
      this.#start.hasSubscribers ||
      this.#end.hasSubscribers ||
      this.#asyncStart.hasSubscribers ||
      this.#asyncEnd.hasSubscribers ||
      this.#error.hasSubscribers
    )
  }

  /**
   * Runs asynchronous work. `facts` is a new object for each run: `work` may add to it until it
   * ends (`facts.outcome = 'stale'`), and listeners find the result or the error in it.
   */
  trace<Result>(facts: Facts, work: (facts: Facts) => Promise<Result>): Promise<Result> {
    if (!this.isTraced) return work(facts)
    return this.channel.tracePromise(() => work(facts), facts)
  }

  /** Runs synchronous work; see {@link trace}. */
  traceSync<Result>(facts: Facts, work: (facts: Facts) => Result): Result {
    if (!this.isTraced) return work(facts)
    return this.channel.traceSync(() => work(facts), facts)
  }
}
