import { toError } from '@dharma/core'
import { Worker } from 'node:worker_threads'

/** A job's lease as the thread that renews it knows it. */
export interface HeldLease {
  readonly queue: string
  readonly jobId: string
  readonly token: string
  /** How long it is renewed at most, from when it is held. */
  readonly holdMs: number
}

/** What the owner tells the thread. */
export interface LeaseOrders {
  readonly hold: readonly HeldLease[]
  /** Tokens. */
  readonly drop: readonly string[]
}

/** What the thread tells its owner. */
export type LeaseNews =
  | { readonly type: 'ready' }
  | { readonly type: 'lost'; readonly tokens: readonly string[] }
  | { readonly type: 'error'; readonly message: string }

export interface LeaseKeeperOptions {
  /** The module that calls `serveLeases`. */
  readonly entry: URL
  /** What it is given as `workerData`; must be cloneable. */
  readonly data: unknown
  readonly onError: (error: Error) => void
}

/** Leases that ended may be known to the thread for so long; renewing one has no effect then. */
const DROP_AFTER_MS = 250

/**
 * Renews leases from a small thread of its own, so that an event loop that is blocked by a task
 * keeps them. The thread is started once and again should it end.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #held = new Map<string, { readonly lease: HeldLease; readonly onLost: () => void }>()
  #dropped: string[] = []
  #dropTimer: NodeJS.Timeout | undefined
  #thread: Worker | undefined
  readonly #ready = Promise.withResolvers<void>()
  #isClosed = false

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
  }

  /** Resolves once the thread runs: before, on a busy machine, a lease might end that nobody renews. */
  start(): Promise<void> {
    if (this.#thread === undefined && !this.#isClosed) this.#start()
    return this.#ready.promise
  }

  /** Must be called before the jobs run: the thread is told at once. */
  hold(leases: readonly { readonly lease: HeldLease; readonly onLost: () => void }[]): void {
    if (this.#isClosed) return
    for (const each of leases) this.#held.set(each.lease.token, each)
    this.#tell(leases.map(({ lease }) => lease))
  }

  drop(token: string): void {
    if (!this.#held.delete(token)) return
    this.#dropped.push(token)
    this.#dropTimer ??= setTimeout(() => this.#tell([]), DROP_AFTER_MS).unref()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#ready.resolve()
    clearTimeout(this.#dropTimer)
    await this.#thread?.terminate()
  }

  #start(): void {
    const { entry, data, onError } = this.#options
    const thread = new Worker(entry, { workerData: data, name: 'dharma-leases' })
    thread.unref()
    thread.on('message', (news: LeaseNews) => this.#hear(news))
    thread.on('error', (thrown) => onError(toError(thrown)))
    thread.on('exit', (code) => {
      if (this.#isClosed || this.#thread !== thread) return
      this.#thread = undefined
      onError(new Error(`the thread that renews leases ended with code ${code}`))
      this.#start()
    })
    this.#thread = thread
    this.#tell([...this.#held.values()].map(({ lease }) => lease))
  }

  #tell(hold: readonly HeldLease[]): void {
    clearTimeout(this.#dropTimer)
    this.#dropTimer = undefined
    const orders: LeaseOrders = { hold, drop: this.#dropped }
    this.#dropped = []
    this.#thread?.postMessage(orders)
  }

  #hear(news: LeaseNews): void {
    switch (news.type) {
      case 'ready':
        this.#ready.resolve()
        return
      case 'error':
        this.#options.onError(new Error(`leases could not be renewed: ${news.message}`))
        return
      case 'lost':
        for (const token of news.tokens) {
          const lost = this.#held.get(token)
          this.#held.delete(token)
          lost?.onLost()
        }
    }
  }
}
