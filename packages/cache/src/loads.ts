import { ClosedError, TimeoutError, toError, type Clock } from '@dharma/core'
import {
  checkNumber,
  type LoadContext,
  type LoadOptions,
  type Loader,
  type ResolvedEntryOptions,
} from './entry-options.ts'
import type { EntryStore } from './entry-store.ts'
import type { Fences } from './fences.ts'
import type { Flight, FlightResult } from './flight.ts'
import { areTagsCurrent, type TagRecord } from './invalidation-view.ts'
import type { InvalidationState } from './invalidation/invalidation-state.ts'
import type { LeasedLoads, LoadRight } from './leased-loads.ts'

export interface LoadsOptions {
  readonly clock: Clock
  readonly state: InvalidationState
  readonly fences: Fences
  readonly store: EntryStore
  /** Undefined for a cache of one process. */
  readonly leased: LeasedLoads | undefined
  readonly onLoad: (durationMs: number, isFailed: boolean) => void
  /** A reload behind has failed; nobody waits for it. */
  readonly onError: (error: unknown) => void
}

/** One load as its caller asked for it. */
export interface LoadRequest {
  readonly key: string
  readonly loader: Loader<unknown>
  readonly options: LoadOptions | undefined
  readonly entry: ResolvedEntryOptions
  /** Called when another's load is waited for: this loader does not run soon, if at all. */
  readonly onWait?: (() => void) | undefined
}

const DEFAULT_LOAD_TIMEOUT_MS = 30_000

/** Runs loaders: once at a time for each key in this process, and once over all while Redis is there. */
export class Loads {
  readonly #options: LoadsOptions
  readonly #flights = new Map<string, Flight>()
  readonly #running = new Set<Flight>()
  #isClosed = false

  constructor(options: LoadsOptions) {
    this.#options = options
  }

  /** Loads under way. */
  get size(): number {
    return this.#running.size
  }

  /** Version below which no load under way can have begun. */
  oldestVersion(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { startVersion } of this.#running) oldest = Math.min(oldest, startVersion)
    return oldest
  }

  /** The value of one load, its own or one that is under way and not older than this call. */
  async load(request: LoadRequest, stale?: Flight['stale']): Promise<unknown> {
    const { softTimeoutMs, signal } = request.options ?? {}
    const askedEpoch = this.#options.state.epoch
    signal?.throwIfAborted()
    const joined = this.#join(request.key)
    if (joined !== undefined) request.onWait?.()
    const flight = joined ?? this.#start(request, stale, false)
    const result = await this.#await(flight, softTimeoutMs, signal)
    if (result.lateTags !== undefined) {
      const isOutdated = result.lateTags.some(
        ({ epoch }) => epoch > flight.startEpoch && epoch <= askedEpoch,
      )
      if (isOutdated) return this.load(request, stale)
    }
    return result.value
  }

  /** Reloads behind, unless a load is under way. */
  refresh(request: LoadRequest): void {
    if (this.#isClosed || this.#join(request.key) !== undefined) return
    this.#start(request, undefined, true).result.catch(this.#options.onError)
  }

  /** Aborts what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    const running = [...this.#running]
    for (const { abort } of running) abort.abort(new ClosedError('cache'))
    await Promise.allSettled(running.map(({ result }) => result))
  }

  #join(key: string): Flight | undefined {
    const flight = this.#flights.get(key)
    if (flight === undefined) return undefined
    if (areTagsCurrent(flight.tags, flight.startEpoch)) {
      flight.callers++
      return flight
    }
    this.#flights.delete(key)
    return undefined
  }

  #start(request: LoadRequest, stale: Flight['stale'], isBehind: boolean): Flight {
    const { state, fences, clock } = this.#options
    if (this.#isClosed) throw new ClosedError('cache')
    const { key } = request
    const leave = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    const flight: Flight = {
      key,
      fence: fences.open(key, leave),
      abort: new AbortController(),
      tags: state.tags.hold(request.entry.tags),
      startEpoch: state.epoch,
      startVersion: state.version,
      startMs: clock.monotonicMs(),
      stale,
      callers: isBehind ? Number.POSITIVE_INFINITY : 1,
      result: undefined as unknown as Promise<FlightResult>,
    }
    this.#flights.set(key, flight)
    this.#running.add(flight)
    flight.result = this.#fly(flight, request, isBehind).finally(() => {
      leave()
      this.#running.delete(flight)
      fences.close(flight.fence)
      state.tags.release(flight.tags)
    })
    return flight
  }

  async #fly(flight: Flight, request: LoadRequest, isBehind: boolean): Promise<FlightResult> {
    const { leased, store } = this.#options
    try {
      if (leased === undefined) return await this.#run(flight, request, undefined)
      const found = await leased.findOrClaim(flight, request, isBehind)
      if (found.kind === 'claimed') return await this.#run(flight, request, found.right)
      if (found.needsRefresh) queueMicrotask(() => this.refresh(request))
      return { value: found.value }
    } catch (error) {
      if (flight.stale === undefined || isBehind || flight.abort.signal.aborted) throw error
      this.#options.onError(error)
      store.extendStale(flight, request.entry)
      return { value: flight.stale.value }
    }
  }

  async #run(
    flight: Flight,
    { key, loader, options, entry }: LoadRequest,
    right: LoadRight | undefined,
  ): Promise<FlightResult> {
    const { state, clock, store, leased } = this.#options
    const timeoutMs = options?.loadTimeoutMs ?? DEFAULT_LOAD_TIMEOUT_MS
    checkNumber('loadTimeoutMs', timeoutMs, 1, 2 ** 31 - 1)
    flight.startEpoch = state.epoch
    flight.startVersion = right?.version ?? state.version
    flight.startMs = clock.monotonicMs()
    let ttlMs: number | undefined
    let isSkipped = false
    const lateTags = new Set<string>()
    let late: readonly TagRecord[] = []
    const context: LoadContext = {
      key,
      signal: flight.abort.signal,
      staleValue: flight.stale?.value,
      setTtl(milliseconds) {
        checkNumber('ttlMs', milliseconds, 1, 2 ** 32 - 1)
        ttlMs = milliseconds
      },
      setTags(tags) {
        for (const tag of tags) lateTags.add(tag)
      },
      skip() {
        isSkipped = true
      },
    }
    const renewal = right === undefined ? undefined : leased?.keepLease(flight, right)
    try {
      const value = await this.#limit(flight, timeoutMs, () => loader(context))
      renewal?.cancel()
      const loadMs = clock.monotonicMs() - flight.startMs
      this.#options.onLoad(loadMs, false)
      late = state.tags.hold([...lateTags])
      const wanted = ttlMs === undefined ? entry : { ...entry, ttlMs }
      await store.keepLoaded(flight, { value, loadMs, late, isSkipped, entry: wanted, right })
      return late.length === 0 ? { value } : { value, lateTags: late }
    } catch (error) {
      renewal?.cancel()
      this.#options.onLoad(clock.monotonicMs() - flight.startMs, true)
      if (right !== undefined) leased?.giveUp(flight, right, toError(error))
      throw error
    } finally {
      state.tags.release(late)
    }
  }

  /** The loader's outcome, or the end of its time, whichever comes first. */
  #limit(flight: Flight, timeoutMs: number, run: () => unknown): Promise<unknown> {
    const { signal } = flight.abort
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(toError(signal.reason))
      const timer = this.#options.clock.setTimeout(
        () => flight.abort.abort(new TimeoutError(`the loader of '${flight.key}'`, timeoutMs)),
        timeoutMs,
      )
      const settle = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', fail)
      }
      signal.addEventListener('abort', fail, { once: true })
      if (signal.aborted) fail()
      // The executor turns a loader that throws at once into a rejection.
      Promise.resolve(signal.aborted ? undefined : run())
        .then(resolve, reject)
        .finally(settle)
      signal.addEventListener('abort', () => timer.cancel(), { once: true })
    })
  }

  #await(
    flight: Flight,
    softTimeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<FlightResult> {
    if (softTimeoutMs === undefined && signal === undefined) return flight.result
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        settle()
        if (--flight.callers === 0) flight.abort.abort(signal?.reason)
        reject(toError(signal?.reason))
      }
      const timer =
        softTimeoutMs === undefined
          ? undefined
          : this.#options.clock.setTimeout(() => {
              if (flight.stale !== undefined) resolve({ value: flight.stale.value })
            }, softTimeoutMs)
      const settle = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      flight.result.then(resolve, reject).finally(settle)
    })
  }
}
