/* oxlint-disable unicorn/require-post-message-target-origin -- a port has no origin. */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type {
  FunctionDefinition,
  PoolMessage,
  WorkerSetup,
} from '../../src/worker-pool/protocol.ts'
import * as protocol from '../../src/worker-pool/protocol.ts'
import { SharedSlots } from '../../src/worker-pool/shared-slots.ts'
import { TaskRunner } from '../../src/worker-pool/task-runner.ts'
import { ThreadReplies } from '../../src/worker-pool/thread-replies.ts'

/** The worker's side of a thread, in this thread, over a real port: a test is its pool. */
export class Loopback implements Disposable {
  readonly slots: SharedSlots = new SharedSlots(64)
  /** Everything that came out, reports of the heap left aside. */
  readonly said: PoolMessage[] = []
  heapReports = 0
  readonly #port: MessagePort
  readonly #runner: TaskRunner
  readonly #listenersBefore = process.listeners('uncaughtException')
  #results: (readonly [slot: number, value: unknown])[] = []
  #tickets = 0
  #wake = Promise.withResolvers<void>()

  constructor(setup: Partial<WorkerSetup> = {}) {
    const { port1, port2 } = new MessageChannel()
    const slots = new SharedSlots(this.slots.buffer)
    this.#port = port1
    this.#runner = new TaskRunner(new ThreadReplies(port2, slots), {
      moduleUrl: undefined,
      concurrency: 1,
      workerId: 1,
      ...setup,
    })
    port2.on('message', (message: readonly unknown[]) => this.#runner.receive(message))
    port1.on('message', (message: PoolMessage | typeof protocol.BELL) => this.#hear(message))
  }

  start(): Promise<void> {
    return this.#runner.start()
  }

  /** Sends one message of tasks; each is a function's index and its arguments. Returns the tickets. */
  send(
    definitions: readonly FunctionDefinition[],
    tasks: readonly (readonly [fn: number, args: readonly unknown[]])[],
  ): number[] {
    const tickets = tasks.map(() => ++this.#tickets)
    const flat = tasks.flatMap(([fn, args], index) => {
      const ticket = tickets[index] ?? 0
      this.slots.offer(ticket, ticket)
      return [ticket, ticket, fn, args]
    })
    this.#port.postMessage([protocol.TASKS, definitions.length === 0 ? 0 : definitions, flat])
    return tickets
  }

  abort(ticket: number, reason: unknown): void {
    this.#port.postMessage([protocol.ABORT, ticket, reason])
  }

  /** What came through shared memory so far. */
  get results(): (readonly [slot: number, value: unknown])[] {
    this.slots.drain((slot, value) => this.#results.push([slot, value]))
    return this.#results
  }

  /** The first message of a type, once it is there. */
  async heard(type: number): Promise<PoolMessage> {
    for (;;) {
      const message = this.said.find(([of]) => of === type)
      if (message !== undefined) return message
      await this.#wake.promise
    }
  }

  /** Resolves once so many results came through shared memory. */
  async finished(count: number): Promise<readonly (readonly [slot: number, value: unknown])[]> {
    while (this.results.length < count) await this.#wake.promise
    return this.#results
  }

  [Symbol.dispose](): void {
    this.#port.close()
    for (const listener of process.listeners('uncaughtException')) {
      if (!this.#listenersBefore.includes(listener)) process.off('uncaughtException', listener)
    }
  }

  #hear(message: PoolMessage | typeof protocol.BELL): void {
    if (message !== protocol.BELL) {
      if (message[0] === protocol.HEAP) this.heapReports += 1
      else this.said.push(message)
    }
    const wake = this.#wake
    this.#wake = Promise.withResolvers()
    wake.resolve()
  }
}
