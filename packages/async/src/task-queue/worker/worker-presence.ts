import { toError, type Clock, type Timer } from '@dharma/core'
import { hostname } from 'node:os'
import type { StateStore } from '../state-store.ts'

/** A worker that was alive a moment ago. */
export interface WorkerInfo {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly queues: readonly string[]
  readonly tasks: readonly string[]
  readonly concurrency: number
  readonly running: number
  readonly startedAtMs: number
  readonly seenAtMs: number
}

const BEAT_EVERY_MS = 5_000
const TTL_MS = 3 * BEAT_EVERY_MS
const INDEX = 'workers'

const keyOf = (id: string): string => `worker:${id}`

/** Makes a worker visible to {@link listWorkers} while it lives. */
export class WorkerPresence {
  readonly #state: StateStore
  readonly #id: string
  readonly #describe: () => WorkerInfo
  readonly #timer: Timer
  readonly #onError: (error: Error) => void
  #last: Promise<void>

  constructor(
    state: StateStore,
    id: string,
    describe: () => WorkerInfo,
    clock: Clock,
    onError: (error: Error) => void,
  ) {
    this.#state = state
    this.#id = id
    this.#describe = describe
    this.#onError = onError
    this.#last = this.#beat(true)
    this.#timer = clock.setInterval(() => void (this.#last = this.#beat(false)), BEAT_EVERY_MS, {
      keepsAlive: false,
    })
  }

  async close(): Promise<void> {
    this.#timer.cancel()
    await this.#last
    try {
      await this.#state.remove(keyOf(this.#id))
      await this.#state.forget(INDEX, this.#id)
    } catch (error) {
      this.#onError(toError(error))
    }
  }

  async #beat(isFirst: boolean): Promise<void> {
    try {
      await this.#state.put(keyOf(this.#id), JSON.stringify(this.#describe()), { ttlMs: TTL_MS })
      if (isFirst) await this.#state.record(INDEX, { [this.#id]: '' })
    } catch (error) {
      this.#onError(toError(error))
    }
  }
}

/** The workers of an engine that are alive; those that went without a word are forgotten. */
export async function listWorkers(state: StateStore): Promise<WorkerInfo[]> {
  const ids = Object.keys(await state.fields(INDEX))
  const entries = await Promise.all(ids.map((id) => state.get(keyOf(id))))
  const workers: WorkerInfo[] = []
  for (const [index, id] of ids.entries()) {
    const entry = entries[index]
    if (entry === undefined) await state.forget(INDEX, id)
    else workers.push(JSON.parse(entry.value) as WorkerInfo)
  }
  return workers
}

/** Where this process runs. */
export const HOST: Pick<WorkerInfo, 'host' | 'pid'> = { host: hostname(), pid: process.pid }
