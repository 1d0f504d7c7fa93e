import type { Timer } from '@dharma/core'
import type { Channel, ChannelEvents, ChannelExit } from './channel.ts'
import { encodeThrown, type EncodedThrown } from './error-encoder.ts'
import { exitErrorOf } from './exit-error.ts'
import { HeldTasks } from './held-tasks.ts'
import { OverdueTasks } from './overdue-tasks.ts'
import type { Batch, PoolTask } from './pool-task.ts'
import * as protocol from './protocol.ts'
import { answerOf, refuseTask, settleTask } from './settle-task.ts'
import { StallWatch } from './stall-watch.ts'
import type { WorkerEndReason, WorkerOwner } from './worker-owner.ts'

/** `leaving` finishes what it holds; `condemned` is being ended. */
export type WorkerPhase = 'starting' | 'ready' | 'leaving' | 'condemned' | 'ended'

/** Workers that ended with a task in their hands, not begun, before the task is given up. */
const MOVES_LIMIT = 3
/** A worker that is told to go and does not is ended, and one that does not end is given up. */
const GIVE_UP_MS = 2000

/** One worker as the pool sees it: what it holds, and what becomes of that when it ends. */
export class PoolWorker {
  readonly id: number
  readonly startedMs: number
  readonly held: HeldTasks
  phase: WorkerPhase = 'starting'
  /** Results so far, of every kind. */
  answered = 0
  runMs = 0
  heapBytes = 0
  idleSinceMs: number
  readonly #owner: WorkerOwner
  readonly #channel: Channel
  readonly #overdue: OverdueTasks
  readonly #stall: StallWatch
  readonly #defined: boolean[] = []
  #endReason: WorkerEndReason | undefined
  #endError: unknown
  #giveUp: Timer | undefined

  constructor(id: number, owner: WorkerOwner, open: (events: ChannelEvents) => Channel) {
    this.id = id
    this.#owner = owner
    this.startedMs = owner.clock.monotonicMs()
    this.idleSinceMs = this.startedMs
    this.held = new HeldTasks(owner.concurrency, owner.deadlines)
    this.#overdue = new OverdueTasks(owner, (task, isResponsive) =>
      this.#onStuck(task, isResponsive),
    )
    this.#stall = new StallWatch(owner.clock, owner.abortGraceMs, () => this.#onSilence())
    this.#channel = open({
      onMessage: (message) => this.#onMessage(message),
      onCorrupt: (cause) => this.condemn('channel', cause),
      onExit: (exit) => this.#onExit(exit),
    })
  }

  room(isShort: boolean): number {
    if (this.phase !== 'ready' || this.#stall.isSilent) return 0
    return Math.max(0, Math.min(this.held.room(isShort), this.#untilWorn))
  }

  /** Whether a task may lie ready behind those that run, since it can be taken back at any time. */
  get canHoldReady(): boolean {
    if (this.phase !== 'ready' || this.#stall.isSilent || this.#untilWorn <= 0) return false
    return this.#channel.decidesAtOnce && this.held.isBarelyFull
  }

  /** For a worker that has nothing to do: what lies ready here goes back to the queue. */
  giveReady(): void {
    if (this.phase === 'ready' && this.held.hasSpare) this.#returnUnbegun()
  }

  /** Sends tasks in one message; one that cannot be cloned fails alone. */
  send(tasks: readonly PoolTask[]): void {
    const batch: Batch = { unanswered: 0 }
    const flat: unknown[] = []
    const fresh = new Set<protocol.FunctionDefinition>()
    for (const task of tasks) {
      const slot = this.held.take(task, batch)
      task.worker = this
      this.#channel.offer(slot, task.ticket)
      flat.push(task.ticket, slot, task.fn.index, task.args)
      if (this.#defined[task.fn.index] !== true) fresh.add(task.fn.definition)
    }
    const message = [protocol.TASKS, fresh.size === 0 ? 0 : [...fresh], flat] as const
    try {
      this.#channel.send(message, tasks[0]?.transfer)
    } catch (cause) {
      this.#onUnsendable(tasks, cause)
      return
    }
    for (const [index] of fresh) this.#defined[index] = true
    this.held.lineUp(tasks)
    this.held.promote(this.#owner.clock.monotonicMs())
  }

  /** Stops a task that its caller has given up; the worker goes with it if it does not listen. */
  abort(task: PoolTask, reason: unknown): void {
    switch (this.#channel.revoke(task.slot, task.ticket)) {
      case 'revoked':
        this.held.release(task)
        this.#afterRelease()
        return
      case 'begun':
        this.#channel.send([protocol.ABORT, task.ticket, encodeThrown(reason)])
        this.#overdue.watch(task, this.held.size === 1)
        return
      case 'asked':
      // If it is begun all the same, it is told to stop then.
    }
  }

  /**
   * Hands over what lies in shared memory. If nothing has come since the last pulse, takes back what
   * was sent before it and not begun: that runs elsewhere, and nothing new comes here until the
   * worker answers.
   */
  pulse(): void {
    if (this.phase !== 'ready') return
    this.#drain()
    const ticket = this.#stall.look(this.answered, this.held.lastTicket)
    if (ticket === undefined) return
    if (!this.held.all().some((task) => task.ticket <= ticket && !this.hasBegun(task))) return
    this.#returnUnbegun(true)
    this.#channel.send([protocol.ABORT, protocol.NO_TASK, encodeThrown(undefined)])
    this.#stall.asked()
  }

  hasBegun(task: PoolTask): boolean {
    return this.#channel.hasStarted(task.slot, task.ticket)
  }

  /** Takes no more tasks, finishes what it has begun, and goes. */
  leave(reason: WorkerEndReason = 'left', error?: unknown): void {
    if (this.phase === 'starting') return this.condemn(reason, error)
    if (this.phase !== 'ready') return
    this.phase = 'leaving'
    this.#endReason = reason
    this.#endError = error
    this.#returnUnbegun()
    this.#owner.onLeaving(this)
    this.#afterRelease()
  }

  /** Ends the worker now. What it had not begun goes elsewhere; what it had, fails. */
  condemn(reason: WorkerEndReason, error: unknown): void {
    if (this.phase === 'condemned' || this.phase === 'ended') return
    const wasLeaving = this.phase === 'leaving'
    this.phase = 'condemned'
    this.#endReason = reason
    this.#endError = error
    this.#drain()
    this.#returnUnbegun(reason === 'late')
    if (!wasLeaving) this.#owner.onLeaving(this)
    this.#terminate()
  }

  get #untilWorn(): number {
    return this.#owner.recycleTasks - this.answered - this.held.size
  }

  #terminate(): void {
    this.#giveUp?.cancel()
    this.#channel.terminate()
    const gone = { exitCode: undefined, signal: undefined, isOutOfMemory: false }
    this.#armGiveUp(() => this.#onExit(gone))
  }

  #armGiveUp(then: () => void): void {
    this.#giveUp = this.#owner.clock.setTimeout(then, GIVE_UP_MS, { keepsAlive: false })
  }

  #onMessage(message: unknown): void {
    if (this.phase === 'ended') return
    if (message === protocol.BELL) this.#drain()
    else if (!Array.isArray(message) || !this.#accept(message as unknown as protocol.PoolMessage)) {
      this.condemn('channel', new TypeError('a message that no worker of this pool sends'))
    }
  }

  /** `false` if this is no message of ours; throws at one that only looks like it. */
  #accept(message: protocol.PoolMessage): boolean {
    const [type, first, second, third, fourth] = message
    switch (type) {
      case protocol.VALUE:
      case protocol.FAILURE:
      case protocol.UNSENDABLE: {
        const task = this.held.find(second as number, first as number)
        if (task === undefined || typeof third !== 'number') return false
        // First of all: it throws at what no worker sends, and the task must not be forgotten then.
        const answer = answerOf(type, fourth, this.#owner.decoder)
        this.#answer(task, third)
        settleTask(task, type, answer, this.#owner, this.id)
        this.#afterRelease()
        return true
      }
      case protocol.STARTED: {
        const task = this.held.find(second as number, first as number)
        if (task?.isSettled === true) this.abort(task, task.stopReason)
        return task !== undefined
      }
      case protocol.READY:
        if (this.phase !== 'starting') return this.phase === 'condemned'
        this.phase = 'ready'
        this.#owner.onReady(this)
        return true
      case protocol.START_FAILED:
        this.condemn('start', this.#owner.decoder.decode(first as EncodedThrown))
        return true
      case protocol.LATE: {
        const thrown = this.#owner.decoder.decode(first as EncodedThrown)
        this.#owner.onLate(this, thrown)
        this.leave('late', thrown)
        return true
      }
      case protocol.ABORT_SEEN:
        this.#overdue.seen(first as number)
        if (first === protocol.NO_TASK) this.#stall.clear()
        this.#afterRelease()
        return true
      case protocol.HEAP:
        this.heapBytes = first as number
        return typeof first === 'number'
      case protocol.REVOKED: {
        const task = this.held.find(second as number, first as number)
        if (task === undefined) return true
        this.held.release(task)
        if (!task.isSettled) this.#owner.onReturned([task])
        this.#afterRelease()
        return true
      }
      default:
        return false
    }
  }

  readonly #onResult = (slot: number, value: unknown, durationMs: number): void => {
    const task = this.held.at(slot)
    if (task !== undefined) this.#answer(task, durationMs)
    if (task?.resolve(value) === true) this.#owner.counters.count('completed')
  }

  #drain(): void {
    const before = this.answered
    this.#channel.drain(this.#onResult)
    if (this.answered !== before) this.#afterRelease()
  }

  #answer(task: PoolTask, durationMs: number): void {
    this.answered += 1
    this.runMs += durationMs
    this.#owner.counters.ran(durationMs)
    task.fn.observe(durationMs)
    this.#overdue.forget(task)
    this.held.release(task)
  }

  #afterRelease(): void {
    const nowMs = this.#owner.clock.monotonicMs()
    this.held.promote(nowMs)
    if (this.held.size === 0) this.idleSinceMs = nowMs
    if (this.phase === 'ready') this.#owner.onRoom(this)
    else if (this.phase === 'leaving' && this.held.size === 0) this.#stop()
    else if (this.phase === 'leaving' && this.#endReason === 'ended' && !this.held.isAwaited) {
      this.condemn('ended', this.#endError)
    }
  }

  /** Nothing is left to do: it may end by itself, and run what it registered for that. */
  #stop(): void {
    if (this.#giveUp !== undefined) return
    this.#channel.send([protocol.STOP])
    this.#armGiveUp(() => this.#terminate())
  }

  #onUnsendable(tasks: readonly PoolTask[], cause: unknown): void {
    for (const task of tasks) this.held.release(task)
    for (const task of tasks) {
      if (tasks.length > 1) this.send([task])
      else refuseTask(task, 'arguments', cause, this.#owner, this.id)
    }
    this.#afterRelease()
  }

  /** A task that nobody began and nobody will: its slot is free. `false` if it was begun. */
  #takeBack(task: PoolTask): boolean {
    if (this.#channel.revoke(task.slot, task.ticket) !== 'revoked') return false
    this.held.release(task)
    return true
  }

  /**
   * What was moved stays, since it cannot be sent again; with `isSuspect`, so does what is given back
   * too often. It fails if the worker ends over it.
   */
  #returnUnbegun(isSuspect = false): void {
    const returned = this.held.all().filter((task) => {
      if (task.transfer !== undefined || (isSuspect && ++task.moves > MOVES_LIMIT)) return false
      return this.#takeBack(task) && !task.isSettled
    })
    if (returned.length > 0) this.#owner.onReturned(returned)
  }

  /** What others run on a worker that still answers, they may finish; nothing new comes to it. */
  #onStuck(task: PoolTask, isResponsive: boolean): void {
    if (isResponsive && this.held.isAwaited) this.leave('ended', task.stopReason)
    else this.condemn('ended', task.stopReason)
  }

  /** What it runs may run on; if it runs nothing, something that was left behind blocks it. */
  #onSilence(): void {
    if (!this.held.all().some((task) => this.hasBegun(task)))
      this.condemn('late', new TypeError('blocked by what a task left behind'))
  }

  #onExit(exit: ChannelExit): void {
    if (this.phase === 'ended') return
    this.#drain()
    const wasStarting = this.phase === 'starting'
    const wasLive = wasStarting || this.phase === 'ready'
    this.phase = 'ended'
    this.#giveUp?.cancel()
    this.#overdue.close()
    this.#stall.clear()
    const fallback = exit.isOutOfMemory ? 'memory' : wasStarting ? 'start' : 'exit'
    const reason = this.#endReason ?? fallback
    const isBlamed = this.#failHeld(exit, reason)
    if (wasLive) this.#owner.onLeaving(this)
    const error = this.#endError ?? exit.error
    const hasLeft = reason === 'left' || (reason === 'late' && this.answered > 0)
    this.#owner.onEnded(this, { reason, isBlamed: isBlamed || hasLeft, error })
  }

  /** Fails what it had begun, hands back the rest, and says whether anything had begun. */
  #failHeld(exit: ChannelExit, reason: WorkerEndReason): boolean {
    const { pool, heapLimitMb } = this.#owner
    const returned: PoolTask[] = []
    let isBlamed = reason === 'ended'
    for (const task of this.held.all()) {
      const wasStarted = this.#channel.hasStarted(task.slot, task.ticket)
      this.held.release(task)
      isBlamed ||= wasStarted
      if (task.isSettled) continue
      const canMove = task.moves < MOVES_LIMIT && task.transfer === undefined
      if (!wasStarted && canMove) {
        task.moves += 1
        returned.push(task)
        continue
      }
      this.#owner.counters.count('crashed')
      const facts = { pool, task: task.fn.name, workerId: this.id, heapLimitMb, wasStarted }
      task.reject(exitErrorOf(facts, exit, reason, this.#endError ?? exit.error))
    }
    if (returned.length > 0) this.#owner.onReturned(returned)
    return isBlamed
  }
}
