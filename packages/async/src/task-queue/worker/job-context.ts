import type { TaskContext } from '../define-task.ts'
import { encodePayload } from '../codec.ts'
import type { QueueEngine } from '../queue-engine.ts'
import type { RunningJob } from './running-job.ts'

/** How long the results of `once` outlive the last of them. */
const STEP_TTL_MS = 7 * 24 * 3_600_000

/** What a running task is given. */
export class JobContext implements TaskContext {
  readonly #engine: QueueEngine
  readonly #running: RunningJob
  readonly #maxBytes: number
  #steps: Promise<Readonly<Record<string, string>>> | undefined

  constructor(engine: QueueEngine, running: RunningJob, maxBytes: number) {
    this.#engine = engine
    this.#running = running
    this.#maxBytes = maxBytes
  }

  get jobId(): string {
    return this.#running.job.id
  }

  get attempt(): number {
    return this.#running.job.attempt
  }

  get signal(): AbortSignal {
    return this.#running.signal
  }

  get dueMs(): number | undefined {
    return this.#running.job.meta.schedule?.dueMs
  }

  async progress(value: unknown): Promise<void> {
    const { job } = this.#running
    await this.#engine.progress(job, encodePayload(job.task, 'progress', value, this.#maxBytes))
  }

  async once<Value>(step: string, run: () => Value | Promise<Value>): Promise<Value> {
    const { job, signal } = this.#running
    const key = `once:${job.queue}:${job.id}`
    // No earlier run, no earlier steps.
    this.#steps ??= job.isFirst ? Promise.resolve({}) : this.#engine.state.fields(key)
    const done = (await this.#steps)[step]
    if (done !== undefined) return (JSON.parse(done) as { value: Value }).value
    signal.throwIfAborted()
    const value = await run()
    const kept = encodePayload(job.task, `step ${step}`, { value }, this.#maxBytes)
    await this.#engine.state.record(key, { [step]: kept }, STEP_TTL_MS)
    return value
  }
}
