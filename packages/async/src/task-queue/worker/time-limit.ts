import type { Clock, Timer } from '@dharma/core'
import type { Task } from '../define-task.ts'
import { TaskTimeLimitError } from '../errors.ts'
import type { RunningJob } from './running-job.ts'

/** The soft and the hard limit of a run; started anew for each input of a chunk. */
export class TimeLimit implements Disposable {
  readonly #clock: Clock
  readonly #task: Task
  #startedMs: number
  #hard: Timer
  #soft: Timer | undefined

  constructor(clock: Clock, task: Task, running: RunningJob) {
    this.#clock = clock
    this.#task = task
    this.#startedMs = clock.monotonicMs()
    this.#hard = this.#arm(task.timeoutMs, (error) => running.giveUp(error))
    if (task.softTimeoutMs !== undefined) {
      this.#soft = this.#arm(task.softTimeoutMs, (error) => running.warn(error))
    }
  }

  /** Costs no timer: those that run look how long the present input has been running. */
  restart(): void {
    this.#startedMs = this.#clock.monotonicMs()
  }

  [Symbol.dispose](): void {
    this.#hard.cancel()
    this.#soft?.cancel()
  }

  #arm(limitMs: number, end: (error: TaskTimeLimitError) => void, waitMs = limitMs): Timer {
    const timer = this.#clock.setTimeout(
      () => {
        const leftMs = this.#startedMs + limitMs - this.#clock.monotonicMs()
        // A timer may fire up to a millisecond early.
        if (leftMs <= 1) {
          end(new TaskTimeLimitError(this.#task.name, limitMs))
          return
        }
        const next = this.#arm(limitMs, end, leftMs)
        if (timer === this.#hard) this.#hard = next
        else this.#soft = next
      },
      Math.min(waitMs, LONGEST_TIMER_MS),
    )
    return timer
  }
}

/** What `setTimeout` takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
