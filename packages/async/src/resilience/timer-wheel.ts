import { systemClock, type Clock, type Timer } from '@dharma/core'

const TICK_MS = 5
const SLOTS = 1024
/** The longest sleep, so that a wheel that went empty lets the process end soon. */
const MAX_SLEEP_TICKS = 20

/**
 * Timers for timeouts, which are nearly all cancelled: setting and cancelling one touches only a
 * linked list, and the event loop sees a single timer however many are set. A callback runs up to
 * 5 ms late, never early. Get one with {@link timerWheelOf}.
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987 (scheme 6).
 */
export class TimerWheel {
  readonly #slots: (Entry | undefined)[] = Array.from({ length: SLOTS })
  readonly #clock: Clock
  #alarm: { readonly timer: Timer; readonly tick: number } | undefined
  /** Ticks up to this one have been looked at. */
  #doneTick = 0
  #size = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls back once after `delayMs`. The callback must not throw. */
  setTimeout(callback: () => void, delayMs: number): Timer {
    const nowMs = this.#clock.monotonicMs()
    if (this.#size === 0) this.#doneTick = Math.floor(nowMs / TICK_MS)
    const tick = Math.max(this.#doneTick + 1, Math.ceil((nowMs + delayMs) / TICK_MS))
    const entry = new Entry(this, tick, callback)
    const index = tick % SLOTS
    const head = this.#slots[index]
    entry.next = head
    if (head !== undefined) head.previous = entry
    this.#slots[index] = entry
    this.#size += 1
    this.#setAlarm(tick, nowMs)
    return entry
  }

  /** For {@link Entry}: takes it off its list. */
  remove(entry: Entry): void {
    if (entry.previous === undefined) this.#slots[entry.tick % SLOTS] = entry.next
    else entry.previous.next = entry.next
    if (entry.next !== undefined) entry.next.previous = entry.previous
    entry.isLinked = false
    this.#size -= 1
  }

  #setAlarm(dueTick: number, nowMs: number): void {
    const tick = Math.min(dueTick, Math.floor(nowMs / TICK_MS) + MAX_SLEEP_TICKS)
    if (this.#alarm !== undefined) {
      if (this.#alarm.tick <= tick) return
      this.#alarm.timer.cancel()
    }
    const timer = this.#clock.setTimeout(() => this.#onAlarm(), tick * TICK_MS - nowMs)
    this.#alarm = { timer, tick }
  }

  #onAlarm(): void {
    this.#alarm = undefined
    const nowMs = this.#clock.monotonicMs()
    const due = this.#takeDue(Math.floor(nowMs / TICK_MS))
    if (this.#size > 0) this.#setAlarm(this.#nextTick(), nowMs)
    for (const entry of due) entry.fire()
  }

  /** Every slot is visited at most once, also after a blocked event loop skipped a whole turn. */
  #takeDue(nowTick: number): Entry[] {
    const due: Entry[] = []
    const firstTick = Math.max(this.#doneTick + 1, nowTick - SLOTS + 1)
    for (let tick = firstTick; tick <= nowTick; tick += 1) {
      for (let entry = this.#slots[tick % SLOTS]; entry !== undefined; entry = entry.next) {
        if (entry.tick > nowTick) continue
        this.remove(entry)
        due.push(entry)
      }
    }
    this.#doneTick = Math.max(this.#doneTick, nowTick)
    return due.toReversed().toSorted((a, b) => a.tick - b.tick)
  }

  /** The next tick with something in its slot: perhaps of a later turn, then looking costs little. */
  #nextTick(): number {
    const lastTick = this.#doneTick + MAX_SLEEP_TICKS
    for (let tick = this.#doneTick + 1; tick < lastTick; tick += 1) {
      if (this.#slots[tick % SLOTS] !== undefined) return tick
    }
    return lastTick
  }
}

class Entry implements Timer {
  readonly tick: number
  isLinked = true
  next: Entry | undefined
  previous: Entry | undefined
  readonly #wheel: TimerWheel
  #callback: (() => void) | undefined

  constructor(wheel: TimerWheel, tick: number, callback: () => void) {
    this.#wheel = wheel
    this.tick = tick
    this.#callback = callback
  }

  cancel(): void {
    this.#callback = undefined
    if (this.isLinked) this.#wheel.remove(this)
  }

  fire(): void {
    const callback = this.#callback
    this.#callback = undefined
    callback?.()
  }
}

const wheels = new WeakMap<Clock, TimerWheel>()

/** The one wheel of a clock, shared by all timeouts that are measured with it. */
export function timerWheelOf(clock: Clock = systemClock): TimerWheel {
  let wheel = wheels.get(clock)
  if (wheel === undefined) {
    wheel = new TimerWheel(clock)
    wheels.set(clock, wheel)
  }
  return wheel
}
