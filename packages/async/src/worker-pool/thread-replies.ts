/* oxlint-disable unicorn/require-post-message-target-origin -- a port has no origin. */
import type { MessagePort, Transferable } from 'node:worker_threads'
import { encodeThrown, type EncodedThrown } from './error-encoder.ts'
import {
  ABORT_SEEN,
  BELL,
  FAILURE,
  HEAP,
  LATE,
  READY,
  START_FAILED,
  UNSENDABLE,
  VALUE,
} from './protocol.ts'
import type { SharedSlots } from './shared-slots.ts'
import type { Replies } from './task-runner.ts'
import { heapBytes } from './heap-bytes.ts'
import { takeTransferList } from './transfer.ts'

/** Results that lie in shared memory until the pool is woken, at most. */
const UNSEEN_LIMIT = 16
const HEAP_EVERY_MS = 100

/** A thread's side of the channel: small results through shared memory, the rest by message. */
export class ThreadReplies implements Replies {
  readonly #port: MessagePort
  readonly #slots: SharedSlots
  #unseen = 0
  #heapReportMs = 0

  constructor(port: MessagePort, slots: SharedSlots) {
    this.#port = port
    this.#slots = slots
  }

  claim(ticket: number, slot: number): boolean {
    return this.#slots.claim(slot, ticket)
  }

  value(ticket: number, slot: number, durationMs: number, value: unknown): void {
    if (!this.#slots.publish(slot, value, durationMs)) {
      this.#postValue(ticket, slot, durationMs, value)
      return
    }
    this.#unseen += 1
    if (this.#unseen >= UNSEEN_LIMIT) this.#ring()
  }

  failure(ticket: number, slot: number, durationMs: number, thrown: EncodedThrown): void {
    this.#port.postMessage([FAILURE, ticket, slot, durationMs, thrown])
  }

  late(thrown: EncodedThrown): void {
    this.#port.postMessage([LATE, thrown])
  }

  ready(): void {
    this.#port.postMessage([READY])
  }

  startFailed(thrown: EncodedThrown): void {
    this.#port.postMessage([START_FAILED, thrown])
  }

  abortSeen(ticket: number): void {
    this.#port.postMessage([ABORT_SEEN, ticket])
  }

  flush(): void {
    if (this.#unseen > 0) this.#ring()
    const nowMs = performance.now()
    if (nowMs - this.#heapReportMs < HEAP_EVERY_MS) return
    this.#heapReportMs = nowMs
    this.#port.postMessage([HEAP, heapBytes()])
  }

  #ring(): void {
    this.#unseen = 0
    if (this.#slots.ring()) this.#port.postMessage(BELL)
  }

  #postValue(ticket: number, slot: number, durationMs: number, value: unknown): void {
    const list = takeTransferList(value) as Transferable[] | undefined
    try {
      this.#port.postMessage([VALUE, ticket, slot, durationMs, value], list ?? [])
    } catch (thrown) {
      this.#port.postMessage([UNSENDABLE, ticket, slot, durationMs, encodeThrown(thrown)])
    }
  }
}
