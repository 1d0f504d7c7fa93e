import { ErrorDecoder } from './error-decoder.ts'
import { encodeThrown, type EncodedThrown } from './error-encoder.ts'
import { compileSource } from './function-source.ts'
import { ABORT, STOP, TASKS, type FunctionDefinition, type WorkerSetup } from './protocol.ts'
import { contextStorage, RunningTask } from './task-context.ts'

/** What a worker says to its pool, over whatever channel. */
export interface Replies {
  /** `false` if the pool took the task back. */
  claim(ticket: number, slot: number): boolean
  /** Never throws: what cannot be cloned is said to be so. */
  value(ticket: number, slot: number, durationMs: number, value: unknown): void
  failure(ticket: number, slot: number, durationMs: number, thrown: EncodedThrown): void
  late(thrown: EncodedThrown): void
  ready(): void
  startFailed(thrown: EncodedThrown): void
  abortSeen(ticket: number): void
  /** Nothing more will follow at once: what was held back for a batch goes out. */
  flush(): void
}

type TaskFunction = (this: unknown, ...args: readonly unknown[]) => unknown

/** A worker that runs this long without a break looks at its messages. */
const BREAK_AFTER_MS = 5

/** Runs the tasks of one worker, in the order in which they came, so many at once. */
export class TaskRunner {
  readonly #replies: Replies
  readonly #setup: WorkerSetup
  readonly #functions: TaskFunction[] = []
  readonly #running = new Map<number, RunningTask>()
  readonly #decoder = new ErrorDecoder()
  #exports: Readonly<Record<string, unknown>> = {}
  #queue: unknown[] = []
  #next = 0
  #isPumping = false

  constructor(replies: Replies, setup: WorkerSetup) {
    this.#replies = replies
    this.#setup = setup
  }

  /** Loads the module and says whether that worked. */
  async start(): Promise<void> {
    process.on('uncaughtException', (thrown) => this.#onUncaught(thrown))
    try {
      const url = this.#setup.moduleUrl
      if (url !== undefined)
        this.#exports = (await import(url)) as Readonly<Record<string, unknown>>
      this.#replies.ready()
    } catch (thrown) {
      this.#replies.startFailed(encodeThrown(thrown))
    }
  }

  /** Takes a message of the pool. */
  receive(message: readonly unknown[]): void {
    switch (message[0]) {
      case TASKS: {
        const definitions = message[1]
        if (definitions !== 0) this.#define(definitions as readonly FunctionDefinition[])
        this.#enqueue(message[2] as readonly unknown[])
        this.#pump()
        return
      }
      case ABORT: {
        const ticket = message[1] as number
        this.#replies.abortSeen(ticket)
        this.#running.get(ticket)?.abort(this.#decoder.decode(message[2] as EncodedThrown))
        return
      }
      case STOP:
        process.exit(0)
    }
  }

  #define(definitions: readonly FunctionDefinition[]): void {
    for (const [index, kind, text] of definitions) {
      this.#functions[index] = kind === 'source' ? this.#compile(text) : this.#exported(text)
    }
  }

  #exported(name: string): TaskFunction {
    const value = Object.hasOwn(this.#exports, name) ? this.#exports[name] : undefined
    if (typeof value === 'function') return value as TaskFunction
    const where = this.#setup.moduleUrl ?? 'a pool without a module'
    return () => {
      throw new TypeError(`${where} exports no function ${JSON.stringify(name)}`)
    }
  }

  #compile(source: string): TaskFunction {
    try {
      return compileSource(source)
    } catch (error) {
      return () => {
        throw error
      }
    }
  }

  #enqueue(tasks: readonly unknown[]): void {
    if (this.#next === this.#queue.length) {
      this.#queue = tasks as unknown[]
      this.#next = 0
      return
    }
    this.#queue = [...this.#queue.slice(this.#next), ...tasks]
    this.#next = 0
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    let nowMs = performance.now()
    const breakMs = nowMs + BREAK_AFTER_MS
    while (this.#next < this.#queue.length && this.#running.size < this.#setup.concurrency) {
      if (nowMs > breakMs) {
        setImmediate(() => this.#pump())
        break
      }
      nowMs = this.#startNext(nowMs)
    }
    if (this.#next === this.#queue.length && this.#next > 0) {
      this.#queue = []
      this.#next = 0
    }
    this.#isPumping = false
    this.#replies.flush()
  }

  /** Begins one task; a task that is no promise has ended when this returns, with the time. */
  #startNext(nowMs: number): number {
    const at = this.#next
    this.#next += 4
    const ticket = this.#queue[at] as number
    const slot = this.#queue[at + 1] as number
    if (!this.#replies.claim(ticket, slot)) return nowMs
    const task = new RunningTask(ticket, slot, this.#setup.workerId, nowMs)
    this.#running.set(ticket, task)
    const fn = this.#functions[this.#queue[at + 2] as number]
    const args = this.#queue[at + 3] as readonly unknown[]
    // The caller's arguments are not kept alive by a queue that has passed them.
    this.#queue[at + 3] = undefined
    try {
      const outcome = contextStorage.run(task, call, fn, task, args)
      if (!isThenable(outcome)) return this.#succeed(task, outcome)
      void this.#settle(task, outcome)
      return nowMs
    } catch (thrown) {
      return this.#fail(task, thrown)
    }
  }

  async #settle(task: RunningTask, outcome: PromiseLike<unknown>): Promise<void> {
    try {
      this.#succeed(task, await outcome)
    } catch (thrown) {
      this.#fail(task, thrown)
    }
    this.#pump()
  }

  #succeed(task: RunningTask, value: unknown): number {
    const nowMs = performance.now()
    // Not there any more: it failed by an exception of its own that nobody caught.
    if (!this.#running.delete(task.taskId)) return nowMs
    this.#replies.value(task.taskId, task.slot, nowMs - task.startedMs, value)
    return nowMs
  }

  #fail(task: RunningTask, thrown: unknown): number {
    const nowMs = performance.now()
    if (!this.#running.delete(task.taskId)) return nowMs
    this.#replies.failure(task.taskId, task.slot, nowMs - task.startedMs, encodeThrown(thrown))
    return nowMs
  }

  /** The task in whose context it was thrown answers for it while it runs; nobody does later. */
  #onUncaught(thrown: unknown): void {
    const task = contextStorage.getStore()
    if (task instanceof RunningTask && this.#running.has(task.taskId)) this.#fail(task, thrown)
    this.#replies.late(encodeThrown(thrown))
    this.#isPumping = false
    this.#pump()
  }
}

function call(fn: TaskFunction | undefined, self: RunningTask, args: readonly unknown[]): unknown {
  return fn?.apply(self, args as unknown[])
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
