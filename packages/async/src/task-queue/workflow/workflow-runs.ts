import { systemClock, type Clock } from '@dharma/core'
import { encodePayload } from '../codec.ts'
import type { FailureKind, NewJob, QueueEngine } from '../queue-engine.ts'
import { childOf, parentOf, planAt, type Plan, type StepPlan } from './plan.ts'

/** How a workflow is getting on. */
export type WorkflowStatus =
  | { readonly state: 'running' }
  | { readonly state: 'completed'; readonly result: unknown }
  | { readonly state: 'failed'; readonly failure: StepFailure }
  | { readonly state: 'cancelled'; readonly reason: string }

/** The step that a workflow failed at. */
export interface StepFailure {
  readonly task: string
  readonly jobId: string
  readonly reason: string
  readonly kind: FailureKind
}

const RUNNING_TTL_MS = 30 * 24 * 3_600_000
const ENDED_TTL_MS = 24 * 3_600_000
const PLANS_KEPT = 100
/** A message that a workflow has ended may be missed: then it is found out by looking. */
const LOOK_EVERY_MS = 1_000

const statusKey = (id: string): string => `workflow:${id}`
const planKey = (id: string): string => `workflow:${id}:plan`
const resultsKey = (id: string, path: string): string => `workflow:${id}:results:${path}`
const sizeKey = (id: string, path: string): string => `workflow:${id}:size:${path}`

/** Who listens to it hears of the end of workflows: their ids. */
export const WORKFLOW_TOPIC = 'workflow-ended'

/**
 * Workflows in an engine. A worker that has run a step starts what comes next and only then ends the
 * step's job, so a crash at any moment is made good by the step's next run: jobs have ids made of
 * workflow and path, results of a group are recorded once for each member.
 */
export class WorkflowRuns {
  readonly #engine: QueueEngine
  readonly #maxInputBytes: number
  readonly #clock: Clock
  readonly #plans = new Map<string, Plan>()

  constructor(engine: QueueEngine, maxInputBytes: number, clock: Clock = systemClock) {
    this.#engine = engine
    this.#maxInputBytes = maxInputBytes
    this.#clock = clock
  }

  /** Stores a workflow and starts it; one that is known by this id goes on as it is. */
  async start(id: string, plan: Plan, input: unknown): Promise<void> {
    const { state } = this.#engine
    await state.put(planKey(id), JSON.stringify(plan), { ttlMs: RUNNING_TTL_MS, ifVersion: 0 })
    const status: WorkflowStatus = { state: 'running' }
    await state.put(statusKey(id), JSON.stringify(status), { ttlMs: RUNNING_TTL_MS, ifVersion: 0 })
    if (await this.isRunning(id)) await this.#begin(id, plan, '', input)
  }

  async isRunning(id: string): Promise<boolean> {
    return (await this.status(id))?.state === 'running'
  }

  async status(id: string): Promise<WorkflowStatus | undefined> {
    const entry = await this.#engine.state.get(statusKey(id))
    return entry && (JSON.parse(entry.value) as WorkflowStatus)
  }

  /** A step has its result: begins what it was waited for by, up to the end of the workflow. */
  async resolved(id: string, path: string, result: unknown): Promise<void> {
    const plan = await this.#plan(id)
    if (plan === undefined || !(await this.isRunning(id))) return
    await this.#resolve(id, plan, path, result)
  }

  /** A step failed for good, and so does the workflow. */
  async failed(id: string, failure: StepFailure): Promise<void> {
    await this.#end(id, { state: 'failed', failure })
  }

  /** `false` if it had ended, or never was. */
  async cancel(id: string, reason: string): Promise<boolean> {
    return this.#end(id, { state: 'cancelled', reason })
  }

  /** How a workflow ended; waits for it until `signal` aborts. `undefined` for one that is not known (any more). */
  async outcome(id: string, signal: AbortSignal): Promise<WorkflowStatus | undefined> {
    let wake: (() => void) | undefined
    using resources = new DisposableStack()
    const onEnded = (ended: string): void => {
      if (ended === id) wake?.()
    }
    resources.use(await this.#engine.signals.subscribe(WORKFLOW_TOPIC, onEnded))
    for (;;) {
      signal.throwIfAborted()
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      const status = await this.status(id)
      if (status?.state !== 'running') return status
      signal.addEventListener('abort', wake, { once: true })
      const timer = this.#clock.setTimeout(wake, LOOK_EVERY_MS)
      await promise
      timer.cancel()
      signal.removeEventListener('abort', wake)
    }
  }

  async #resolve(id: string, plan: Plan, path: string, result: unknown): Promise<void> {
    const parent = parentOf(path)
    if (parent === undefined) {
      await this.#end(id, { state: 'completed', result })
      return
    }
    const above = planAt(plan, parent.path)
    if (above === undefined || above.kind === 'step') {
      throw new RangeError(`workflow ${id} has no step at ${parent.path}`)
    }
    if (above.kind === 'chain') {
      if (parent.index + 1 === above.steps.length) {
        await this.#resolve(id, plan, parent.path, result)
      } else {
        await this.#begin(id, plan, childOf(parent.path, parent.index + 1), result)
      }
      return
    }
    const { state } = this.#engine
    const size =
      above.kind === 'group'
        ? above.steps.length
        : Number((await state.get(sizeKey(id, parent.path)))?.value)
    const key = resultsKey(id, parent.path)
    const text = JSON.stringify(result)
    if ((await state.record(key, { [parent.index]: text }, RUNNING_TTL_MS)) < size) return
    const fields = await state.fields(key)
    const results: unknown[] = []
    for (let index = 0; index < size; index++) results.push(JSON.parse(fields[index] ?? 'null'))
    const isFlat = above.kind === 'group' && above.isFlat === true
    await this.#resolve(id, plan, parent.path, isFlat ? results.flat(1) : results)
  }

  /** Stores the jobs that a part of the plan begins with, all in one call. */
  async #begin(id: string, plan: Plan, path: string, input: unknown): Promise<void> {
    const jobs: NewJob[] = []
    const empty: { readonly path: string; readonly result: unknown }[] = []
    try {
      await this.#collect(id, plan, path, input, jobs, empty)
    } catch (error) {
      if (!(error instanceof StepRefusal)) throw error
      await this.failed(id, error.failure)
      return
    }
    if (jobs.length > 0) await this.#engine.enqueue(jobs)
    for (const done of empty) await this.#resolve(id, plan, done.path, done.result)
  }

  async #collect(
    id: string,
    plan: Plan,
    path: string,
    input: unknown,
    jobs: NewJob[],
    empty: { readonly path: string; readonly result: unknown }[],
  ): Promise<void> {
    const part = planAt(plan, path)
    switch (part?.kind) {
      case 'step':
        jobs.push(this.#job(id, path, part, input))
        return
      case 'chain':
        if (part.steps.length === 0) empty.push({ path, result: input })
        else await this.#collect(id, plan, childOf(path, 0), input, jobs, empty)
        return
      case 'group':
        if (part.steps.length === 0) empty.push({ path, result: [] })
        for (const index of part.steps.keys()) {
          await this.#collect(id, plan, childOf(path, index), input, jobs, empty)
        }
        return
      case 'each': {
        if (!Array.isArray(input)) {
          throw new StepRefusal(id, path, part.step.task, 'the step before it returned no array')
        }
        if (input.length === 0) empty.push({ path, result: [] })
        const size = String(input.length)
        await this.#engine.state.put(sizeKey(id, path), size, { ttlMs: RUNNING_TTL_MS })
        for (const [index, each] of input.entries()) {
          jobs.push(this.#job(id, childOf(path, index), part.step, each))
        }
        return
      }
      case undefined:
        throw new RangeError(`workflow ${id} has no step at ${path}`)
    }
  }

  #job(id: string, path: string, step: StepPlan, input: unknown): NewJob {
    const { task, queue, maxAttempts, priority = 'normal', delayMs = 0, chunk } = step
    const value = step.input === undefined ? input : step.input.value
    let encoded: string
    try {
      encoded = encodePayload(task, 'input', value ?? null, this.#maxInputBytes)
    } catch (error) {
      throw new StepRefusal(id, path, task, error instanceof Error ? error.message : '')
    }
    return {
      id: jobIdOf(id, path),
      task,
      queue,
      input: encoded,
      priority,
      delayMs,
      deduplicate: undefined,
      maxAttempts,
      meta: { workflow: { id, path }, ...(chunk === undefined ? {} : { chunk }) },
    }
  }

  /** The first end is the one that counts. */
  async #end(id: string, status: WorkflowStatus): Promise<boolean> {
    const { state, signals } = this.#engine
    const entry = await state.get(statusKey(id))
    if (entry === undefined) return false
    if ((JSON.parse(entry.value) as WorkflowStatus).state !== 'running') return false
    const isOurs = await state.put(statusKey(id), JSON.stringify(status), {
      ttlMs: ENDED_TTL_MS,
      ifVersion: entry.version,
    })
    if (!isOurs) return false
    await signals.publish(WORKFLOW_TOPIC, id)
    const plan = await this.#plan(id)
    if (plan !== undefined) await this.#forget(id, plan, '')
    await state.remove(planKey(id))
    return true
  }

  async #forget(id: string, part: Plan, path: string): Promise<void> {
    if (part.kind === 'step') return
    const { state } = this.#engine
    if (part.kind !== 'chain') await state.remove(resultsKey(id, path))
    if (part.kind === 'each') await state.remove(sizeKey(id, path))
    else
      for (const [index, step] of part.steps.entries())
        await this.#forget(id, step, childOf(path, index))
  }

  async #plan(id: string): Promise<Plan | undefined> {
    const known = this.#plans.get(id)
    if (known !== undefined) return known
    const entry = await this.#engine.state.get(planKey(id))
    if (entry === undefined) return undefined
    const plan = JSON.parse(entry.value) as Plan
    const [oldest] = this.#plans.keys()
    if (this.#plans.size >= PLANS_KEPT && oldest !== undefined) this.#plans.delete(oldest)
    this.#plans.set(id, plan)
    return plan
  }
}

/** A step that cannot be stored. */
class StepRefusal extends Error {
  readonly failure: StepFailure

  constructor(id: string, path: string, task: string, reason: string) {
    super(reason)
    this.failure = { task, jobId: jobIdOf(id, path), reason, kind: 'error' }
  }
}

/** The same for every worker, so that storing a step twice gives one job. */
export function jobIdOf(workflowId: string, path: string): string {
  return `workflow-${workflowId}-${path === '' ? 'root' : path}`
}
