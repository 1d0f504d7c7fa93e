import type { Deadlines } from './deadlines.ts'
import { Fifo } from './fifo.ts'
import type { Batch, PoolTask } from './pool-task.ts'
import { BATCH_LIMIT, OUTSTANDING_LIMIT, slotLimit } from './protocol.ts'

/** Tasks of medium length that may lie ready behind those that run. */
const READY_LIMIT = 3

/**
 * The tasks in the hands of one worker. It begins them in the order in which they were sent, at
 * most `concurrency` at once; the same order is followed here, so that a task's time limit counts
 * from when its turn came, without a message that says so.
 */
export class HeldTasks {
  readonly #concurrency: number
  readonly #deadlines: Deadlines
  readonly #slots: (PoolTask | undefined)[]
  readonly #free: number[]
  readonly #line = new Fifo<PoolTask>()
  #running = 0
  #lastTicket = 0
  #long = 0
  #messages = 0

  constructor(concurrency: number, deadlines: Deadlines) {
    this.#concurrency = concurrency
    this.#deadlines = deadlines
    const slots = slotLimit(concurrency)
    this.#slots = Array.from({ length: slots })
    this.#free = Array.from({ length: slots }, (_, index) => slots - 1 - index)
  }

  get size(): number {
    return this.#slots.length - this.#free.length
  }

  /** Whether one task that is not short waits here behind as many as can run. */
  get hasSpare(): boolean {
    return this.#long > this.#concurrency
  }

  /** Whether as many run as can, and not many lie ready behind them. */
  get isBarelyFull(): boolean {
    const ready = this.size - this.#concurrency
    return ready >= 0 && ready < READY_LIMIT && this.#long === this.size
  }

  /** Of what was sent last. */
  get lastTicket(): number {
    return this.#lastTicket
  }

  /** Tasks that may be sent now: short ones many at once, long ones only where they begin at once. */
  room(isShort: boolean): number {
    const begins = this.#concurrency - this.size
    if (!isShort || this.#long > 0) return Math.max(0, begins)
    if (this.#messages >= OUTSTANDING_LIMIT) return 0
    return Math.min(BATCH_LIMIT, this.#free.length)
  }

  take(task: PoolTask, batch: Batch): number {
    const slot = this.#free.pop() ?? -1
    if (batch.unanswered === 0) this.#messages += 1
    batch.unanswered += 1
    task.slot = slot
    task.ticket = this.#nextTicket()
    task.batch = batch
    task.wasShort = task.isShort
    if (!task.wasShort) this.#long += 1
    this.#slots[slot] = task
    return slot
  }

  /** To be called for those that were taken, once they are on their way. */
  lineUp(tasks: readonly PoolTask[]): void {
    for (const task of tasks) this.#line.push(task)
  }

  /** Gives turns to the next in line; limits begin to count. */
  promote(nowMs: number): void {
    while (this.#running < this.#concurrency) {
      const task = this.#line.shift()
      if (task === undefined) return
      // Not here any more: it was taken back, or its result came before its turn was seen.
      if (task.slot === -1 || this.#slots[task.slot] !== task) continue
      task.isRunning = true
      this.#running += 1
      if (task.timeoutMs > 0 && !task.isSettled) this.#deadlines.add(task, nowMs)
    }
  }

  /** Whether a caller still waits for any of them. */
  get isAwaited(): boolean {
    return this.#slots.some((task) => task?.isSettled === false)
  }

  find(slot: number, ticket: number): PoolTask | undefined {
    const task = this.#slots[slot]
    return task?.ticket === ticket ? task : undefined
  }

  at(slot: number): PoolTask | undefined {
    return this.#slots[slot]
  }

  /** In the order in which they were made, running ones included. */
  all(): PoolTask[] {
    return this.#slots.filter((task) => task !== undefined).toSorted((a, b) => a.id - b.id)
  }

  release(task: PoolTask): void {
    this.#slots[task.slot] = undefined
    this.#free.push(task.slot)
    task.slot = -1
    if (task.isRunning) this.#running -= 1
    task.isRunning = false
    if (!task.wasShort) this.#long -= 1
    const { batch } = task
    if (batch !== undefined && --batch.unanswered === 0) this.#messages -= 1
    task.batch = undefined
    task.worker = undefined
    this.#deadlines.remove(task)
  }

  #nextTicket(): number {
    this.#lastTicket = this.#lastTicket === 2 ** 31 - 1 ? 1 : this.#lastTicket + 1
    return this.#lastTicket
  }
}
