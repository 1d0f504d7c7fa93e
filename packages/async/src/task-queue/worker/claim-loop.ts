import { toError, type Clock, type Timer } from '@dharma/core'
import type { ClaimedJob, ClaimRequest, QueueEngine } from '../queue-engine.ts'
import type { QueueOrder } from './queue-order.ts'
import type { RateGate } from './rate-gate.ts'

export interface ClaimLoopOptions {
  readonly engine: QueueEngine
  readonly order: QueueOrder
  readonly gate: RateGate
  readonly clock: Clock
  readonly random: () => number
  /** Slots free now. */
  readonly room: () => number
  readonly holdMs: ClaimRequest['holdMs']
  readonly onLost: ClaimRequest['onLost']
  readonly onJobs: (jobs: readonly ClaimedJob[]) => void
  readonly onError: (error: Error) => void
}

const ERROR_PAUSE_MS = 1_000
/** A loop that has given no sign for so long is taken to hang, and another is started. */
const SILENCE_MS = 15_000
const WATCH_EVERY_MS = 5_000

/** Asks an engine for jobs as long as slots are free, and is replaced when it has gone silent. */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions
  readonly #stopped = new AbortController()
  readonly #watch: Timer | undefined
  #generation = new AbortController()
  #aliveMs: number
  #isFull = false
  #wakeUp = (): void => {}
  #ended: Promise<void>
  /** How often a silent loop was replaced. */
  rebuilds = 0

  constructor(options: ClaimLoopOptions) {
    this.#options = options
    this.#aliveMs = options.clock.monotonicMs()
    if (options.engine.leaseMs < Infinity) {
      this.#watch = options.clock.setInterval(() => this.#look(), WATCH_EVERY_MS, {
        keepsAlive: false,
      })
    }
    this.#ended = this.#run(this.#generation.signal)
  }

  /** A slot has become free. */
  wake(): void {
    this.#wakeUp()
  }

  /** Resolves when no more jobs will come. */
  async stop(): Promise<void> {
    this.#watch?.cancel()
    this.#stopped.abort()
    this.#generation.abort()
    this.#wakeUp()
    await this.#ended
  }

  #look(): void {
    const { clock, onError } = this.#options
    const silentMs = clock.monotonicMs() - this.#aliveMs
    if (this.#isFull || silentMs < SILENCE_MS) return
    this.rebuilds++
    onError(
      new Error(`the fetch loop was silent for ${Math.round(silentMs)} ms and is started anew`),
    )
    // What the old one may still claim is handed back by the engine, since its signal is aborted.
    this.#generation.abort()
    this.#generation = new AbortController()
    this.#aliveMs = clock.monotonicMs()
    this.#ended = this.#run(this.#generation.signal)
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { engine, gate, clock, random, room, holdMs, onLost, onError } = this.#options
    const onAlive = (): void => {
      if (!signal.aborted) this.#aliveMs = clock.monotonicMs()
    }
    while (!signal.aborted) {
      onAlive()
      const free = room()
      if (free <= 0) {
        await this.#slot(signal)
        continue
      }
      let nextOpenMs = Infinity
      const queues = this.#options.order.divide(free, (name) => {
        const closedMs = gate.closedForMs(name)
        if (closedMs > 0) nextOpenMs = Math.min(nextOpenMs, closedMs)
        return closedMs === 0
      })
      try {
        if (queues.length === 0) {
          await clock.sleep(nextOpenMs, signal)
          continue
        }
        const request = { queues, count: free, holdMs, onLost, onAlive }
        const jobs = await this.#claim(request, nextOpenMs, signal)
        // A loop that was given up may still get jobs: run, since they are claimed.
        if (jobs.length > 0) await this.#admit(engine, jobs)
      } catch (error) {
        if (signal.aborted) return
        onError(toError(error))
        await clock.sleep(random() * ERROR_PAUSE_MS, signal).catch(ignoreAbort)
      }
    }
  }

  /** Waits no longer than until another queue opens. */
  async #claim(
    request: ClaimRequest,
    nextOpenMs: number,
    signal: AbortSignal,
  ): Promise<ClaimedJob[]> {
    const { engine, clock } = this.#options
    if (nextOpenMs === Infinity) return engine.claim(request, signal)
    const opened = new AbortController()
    const timer = clock.setTimeout(() => opened.abort(), nextOpenMs)
    try {
      return await engine.claim(request, AbortSignal.any([signal, opened.signal]))
    } finally {
      timer.cancel()
    }
  }

  async #admit(engine: QueueEngine, jobs: readonly ClaimedJob[]): Promise<void> {
    const { admitted, denied } = await this.#options.gate.admit(jobs)
    this.#options.onJobs(admitted)
    await Promise.all(denied.map(({ job, delayMs }) => engine.release(job, delayMs)))
  }

  /** Resolves when a slot is free, or the signal aborts. */
  async #slot(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#isFull = true
    this.#wakeUp = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#isFull = false
    this.#aliveMs = this.#options.clock.monotonicMs()
  }
}

/** The wait was ended on purpose. */
function ignoreAbort(): void {}
