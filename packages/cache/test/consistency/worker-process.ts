import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Floor } from './floors.ts'
import type { HistoryEvent } from './history.ts'
import type { Command, Counts, FromWorker, ToWorker, Violation, WorkerConfig } from './messages.ts'

const ENTRY = fileURLToPath(new URL('worker.ts', import.meta.url))
const ANSWER_MS = 60_000

export interface WorkerProcessOptions {
  readonly config: WorkerConfig
  readonly onFloors: (floors: readonly Floor[]) => void
  readonly onViolation: (violation: Violation) => void
}

/** A process of the checker, seen from the parent. */
export class WorkerProcess {
  readonly index: number
  readonly #child: ChildProcess
  readonly #options: WorkerProcessOptions
  readonly #ready = Promise.withResolvers<void>()
  readonly #broken = Promise.withResolvers<never>()
  readonly #finished = new Map<Command, (counts: Counts) => void>()
  readonly #histories = new Map<string, (events: readonly HistoryEvent[]) => void>()
  #isClosing = false

  constructor(options: WorkerProcessOptions) {
    const { config } = options
    this.index = config.index
    this.#options = options
    this.#child = fork(ENTRY, [JSON.stringify(config)], {
      execArgv: ['--conditions=@dharma/source'],
      serialization: 'advanced',
    })
    // Whoever waits for an answer is told; nobody else has to be.
    this.#broken.promise.catch(() => undefined)
    this.#child.on('message', (message: FromWorker) => this.#hear(message))
    this.#child.on('exit', (code, signal) => {
      if (!this.#isClosing) this.#break(`ended by itself: ${code ?? signal}`)
    })
  }

  get ready(): Promise<void> {
    return this.#orBroken(this.#ready.promise)
  }

  /** Resolves with what the process has done so far once it has done this as well. */
  command(command: Command): Promise<Counts> {
    const { promise, resolve } = Promise.withResolvers<Counts>()
    this.#finished.set(command, resolve)
    this.#send({ kind: 'command', command })
    return this.#orBroken(promise)
  }

  history(key: string): Promise<readonly HistoryEvent[]> {
    const { promise, resolve } = Promise.withResolvers<readonly HistoryEvent[]>()
    this.#histories.set(key, resolve)
    this.#send({ kind: 'history', key })
    return this.#orBroken(promise)
  }

  tell(floors: readonly Floor[]): void {
    this.#send({ kind: 'floors', floors })
  }

  /** Freezes the process, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** Closes the cache in good order; kills the process if that fails. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    this.#child.kill('SIGCONT')
    this.#send({ kind: 'command', command: 'close' })
    await exited
    clearTimeout(timer)
  }

  #send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message)
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'ready': {
        this.#ready.resolve()
        return
      }
      case 'finished': {
        this.#finished.get(message.command)?.(message.counts)
        return
      }
      case 'history': {
        this.#histories.get(message.key)?.(message.events)
        return
      }
      case 'floors': {
        this.#options.onFloors(message.floors)
        return
      }
      case 'violation': {
        this.#options.onViolation(message.violation)
        return
      }
      case 'broken': {
        this.#break(message.reason)
      }
    }
  }

  #break(reason: string): void {
    this.#broken.reject(new Error(`process ${this.index} of the checker: ${reason}`))
  }

  async #orBroken<Result>(promise: Promise<Result>): Promise<Result> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new Error(`process ${this.index} of the checker does not answer`)),
      ANSWER_MS,
    )
    return Promise.race([promise, this.#broken.promise, late.promise]).finally(() =>
      clearTimeout(timer),
    )
  }
}
