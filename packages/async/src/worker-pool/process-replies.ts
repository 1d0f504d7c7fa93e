import { writeSync } from 'node:fs'
import type { ChildClaims } from './child-claims.ts'
import { encodeThrown, withoutFields, type EncodedThrown } from './error-encoder.ts'
import { frameOf, resultFrame, startedFrame } from './frames.ts'
import { heapBytes } from './heap-bytes.ts'
import {
  ABORT_SEEN,
  FAILURE,
  HEAP,
  LATE,
  READY,
  START_FAILED,
  UNSENDABLE,
  VALUE,
  type PoolMessage,
} from './protocol.ts'
import type { Replies } from './task-runner.ts'

const HEAP_EVERY_MS = 100
const pause = new Int32Array(new SharedArrayBuffer(4))

/**
 * A child process's side of the channel. It writes synchronously: what a task returned, and that
 * the next one begins, is out of the process before that one can do any harm. Both go in one call.
 */
export class ProcessReplies implements Replies {
  readonly #fd: number
  readonly #claims: ChildClaims
  #pending: Buffer[] = []
  #heapReportMs = 0

  constructor(fd: number, claims: ChildClaims) {
    this.#fd = fd
    this.#claims = claims
  }

  claim(ticket: number, slot: number): boolean {
    if (!this.#claims.claim(slot, ticket)) return false
    this.#pending.push(startedFrame(ticket, slot))
    this.#write()
    return true
  }

  value(ticket: number, slot: number, durationMs: number, value: unknown): void {
    const small = resultFrame(ticket, slot, durationMs, value)
    if (small !== undefined) {
      this.#pending.push(small)
      return
    }
    try {
      this.#pending.push(frameOf([VALUE, ticket, slot, durationMs, value]))
    } catch (thrown) {
      this.#send([UNSENDABLE, ticket, slot, durationMs, encodeThrown(thrown)])
    }
  }

  failure(ticket: number, slot: number, durationMs: number, thrown: EncodedThrown): void {
    try {
      this.#send([FAILURE, ticket, slot, durationMs, thrown])
    } catch {
      this.#send([FAILURE, ticket, slot, durationMs, withoutFields(thrown)])
    }
  }

  late(thrown: EncodedThrown): void {
    this.#send([LATE, thrown])
  }

  ready(): void {
    this.#send([READY])
  }

  startFailed(thrown: EncodedThrown): void {
    this.#send([START_FAILED, thrown])
  }

  abortSeen(ticket: number): void {
    this.#send([ABORT_SEEN, ticket])
  }

  flush(): void {
    const nowMs = performance.now()
    if (nowMs - this.#heapReportMs >= HEAP_EVERY_MS) {
      this.#heapReportMs = nowMs
      this.#pending.push(frameOf([HEAP, heapBytes()]))
    }
    this.#write()
  }

  #send(message: PoolMessage): void {
    this.#pending.push(frameOf(message))
    this.#write()
  }

  #write(): void {
    const first = this.#pending[0]
    if (first === undefined) return
    const bytes = this.#pending.length === 1 ? first : Buffer.concat(this.#pending)
    this.#pending = []
    writeAll(this.#fd, bytes)
  }
}

/** Waits where a pipe is full: the pool reads it in its own time. */
export function writeAll(fd: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.byteLength) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}
