/* oxlint-disable unicorn/require-post-message-target-origin -- a port has no origin. */
import {
  MessageChannel,
  receiveMessageOnPort,
  Worker,
  type ResourceLimits,
  type Transferable,
} from 'node:worker_threads'
import {
  entryUrl,
  type Channel,
  type ChannelEvents,
  type ChannelOptions,
  type PoolResourceLimits,
  type Revocation,
} from './channel.ts'
import { slotLimit, type PoolMessage } from './protocol.ts'
import { SharedSlots } from './shared-slots.ts'

/**
 * A worker thread. The pool talks to it through a port of its own, so that a task which posts to
 * `parentPort` disturbs nobody.
 */
export class ThreadChannel implements Channel {
  readonly decidesAtOnce = true
  readonly #worker: Worker
  readonly #port: MessageChannel['port1']
  readonly #slots: SharedSlots
  readonly #events: ChannelEvents

  constructor(options: ChannelOptions, events: ChannelEvents) {
    const { port1, port2 } = new MessageChannel()
    this.#events = events
    this.#port = port1
    this.#slots = new SharedSlots(slotLimit(options.setup.concurrency))
    this.#worker = new Worker(entryUrl('thread-entry'), {
      name: options.name,
      workerData: { port: port2, slots: this.#slots.buffer, setup: options.setup },
      transferList: [port2],
      resourceLimits: limitsOf(options.resourceLimits),
      ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
    })
    let error: unknown
    port1.on('message', (message: unknown) => this.#receive(message))
    port1.on('messageerror', (cause: unknown) => events.onCorrupt(cause))
    this.#worker.on('error', (thrown: unknown) => {
      error = thrown
    })
    this.#worker.on('exit', (exitCode) => {
      for (let last = receiveMessageOnPort(port1); last; last = receiveMessageOnPort(port1)) {
        this.#receive((last as { readonly message: unknown }).message)
      }
      port1.close()
      const isOutOfMemory = (error as { code?: unknown })?.code === 'ERR_WORKER_OUT_OF_MEMORY'
      events.onExit({ exitCode, signal: undefined, isOutOfMemory, error })
    })
    // The pool itself keeps the process alive, and only while somebody waits for a task.
    this.#worker.unref()
    port1.unref()
  }

  offer(slot: number, ticket: number): void {
    this.#slots.offer(slot, ticket)
  }

  revoke(slot: number, ticket: number): Revocation {
    return this.#slots.revoke(slot, ticket) ? 'revoked' : 'begun'
  }

  hasStarted(slot: number, ticket: number): boolean {
    return this.#slots.hasStarted(slot, ticket)
  }

  send(message: PoolMessage, transfer?: readonly Transferable[]): void {
    if (transfer === undefined) this.#port.postMessage(message)
    else this.#port.postMessage(message, [...transfer])
  }

  drain(onResult: (slot: number, value: unknown, durationMs: number) => void): void {
    try {
      this.#slots.drain(onResult)
    } catch (error) {
      this.#events.onCorrupt(error)
    }
  }

  terminate(): void {
    void this.#worker.terminate()
  }

  #receive(message: unknown): void {
    try {
      this.#events.onMessage(message)
    } catch (error) {
      this.#events.onCorrupt(error)
    }
  }
}

/**
 * A thread that is out of heap gets 16 MB more to end in; if its young objects, which are promoted
 * all at once, are more than that, it takes the whole process with it. A third of this is at most
 * promoted at once.
 */
const YOUNG_HEAP_MB = 24

function limitsOf(limits: PoolResourceLimits): ResourceLimits {
  return {
    ...(limits.maxHeapMb === undefined ? {} : { maxOldGenerationSizeMb: limits.maxHeapMb }),
    maxYoungGenerationSizeMb: limits.maxYoungHeapMb ?? YOUNG_HEAP_MB,
    ...(limits.stackMb === undefined ? {} : { stackSizeMb: limits.stackMb }),
  }
}
