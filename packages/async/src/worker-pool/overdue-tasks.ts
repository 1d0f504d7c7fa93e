import type { Clock, Timer } from '@dharma/core'
import type { PoolTask } from './pool-task.ts'

/**
 * Tasks that were told to stop and have not yet. A worker that answers has `abortGraceMs` to stop;
 * one that does not even answer is stuck, and there is nothing to wait for.
 */
export class OverdueTasks {
  readonly #clock: Clock
  readonly #abortGraceMs: number
  readonly #unresponsiveMs: number
  readonly #onStuck: (task: PoolTask, isResponsive: boolean) => void
  readonly #timers = new Map<PoolTask, Timer>()

  constructor(
    options: {
      readonly clock: Clock
      readonly abortGraceMs: number
      readonly unresponsiveMs: number
    },
    onStuck: (task: PoolTask, isResponsive: boolean) => void,
  ) {
    this.#clock = options.clock
    this.#abortGraceMs = options.abortGraceMs
    this.#unresponsiveMs = options.unresponsiveMs
    this.#onStuck = onStuck
  }

  /** The only task of a worker is what blocks it; among several, the blame is not clear so soon. */
  watch(task: PoolTask, isAlone: boolean): void {
    const waitMs = isAlone ? Math.min(this.#unresponsiveMs, this.#abortGraceMs) : this.#abortGraceMs
    this.#arm(task, waitMs, false)
  }

  /** The worker has read the message. */
  seen(ticket: number): void {
    for (const task of this.#timers.keys()) {
      if (task.ticket === ticket) this.#arm(task, this.#abortGraceMs, true)
    }
  }

  /** The task has ended after all. */
  forget(task: PoolTask): void {
    if (this.#timers.size === 0) return
    this.#timers.get(task)?.cancel()
    this.#timers.delete(task)
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #arm(task: PoolTask, waitMs: number, isResponsive: boolean): void {
    this.#timers.get(task)?.cancel()
    const onTimer = (): void => {
      this.#timers.delete(task)
      this.#onStuck(task, isResponsive)
    }
    this.#timers.set(task, this.#clock.setTimeout(onTimer, waitMs, { keepsAlive: false }))
  }
}
