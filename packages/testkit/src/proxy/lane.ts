import type { Socket } from 'node:net'
import type { ProxyMode } from './proxy-mode.ts'

/** Piece of a chunk that a throttled lane sends at once, so that a slow line drips and does not jump. */
const THROTTLED_PIECE_BYTES = 1024
/** Bytes held back at most; the sender is paused above it, as by a full pipe. */
const MAX_HELD_BYTES = 1024 * 1024

/** One direction of a connection: takes bytes from a socket and gives them to the other when the mode lets it. */
export class Lane {
  readonly #direction: 'toServer' | 'toClient'
  readonly #from: Socket
  readonly #to: Socket
  readonly #mode: () => ProxyMode
  readonly #onSent: (bytes: number) => void
  /** What is held back, oldest first; undefined is the end of the stream. */
  readonly #held: { readonly chunk: Buffer | undefined; readonly timer: NodeJS.Timeout }[] = []
  #heldBytes = 0
  #dueAtMs = 0
  #hasLost = false
  #hasEnded = false

  constructor(
    direction: 'toServer' | 'toClient',
    { from, to }: { readonly from: Socket; readonly to: Socket },
    mode: () => ProxyMode,
    onSent: (bytes: number) => void,
  ) {
    this.#direction = direction
    this.#from = from
    this.#to = to
    this.#mode = mode
    this.#onSent = onSent
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.on('end', () => this.finish())
    to.on('drain', () => from.resume())
  }

  /** Whether a black hole swallowed something, so that the stream has a gap. */
  get hasLost(): boolean {
    return this.#hasLost
  }

  /** The sender has said its last: the receiver hears so after what is held back. */
  finish(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#take(undefined)
  }

  /** Sends all that is held back, now. */
  flush(): void {
    const held = this.#held.splice(0)
    for (const { chunk, timer } of held) {
      clearTimeout(timer)
      this.#send(chunk)
    }
    this.#heldBytes = 0
    this.#dueAtMs = 0
    this.#from.resume()
  }

  /** Forgets all that is held back. */
  drop(): void {
    for (const { timer } of this.#held.splice(0)) clearTimeout(timer)
    this.#heldBytes = 0
  }

  #take(chunk: Buffer | undefined): void {
    const mode = this.#mode()
    switch (mode.kind) {
      case 'blackHole':
        this.#hasLost = true
        return
      case 'delay':
        this.#hold(chunk, mode.delayMs)
        return
      case 'throttle':
        this.#drip(chunk, mode)
        return
      case 'pass':
        if (this.#held.length > 0) this.#hold(chunk, 0)
        else this.#send(chunk)
        return
      default:
        mode satisfies never
    }
  }

  #drip(chunk: Buffer | undefined, mode: Extract<ProxyMode, { kind: 'throttle' }>): void {
    if (chunk === undefined) {
      this.#hold(chunk, 0)
      return
    }
    for (let start = 0; start < chunk.length; start += THROTTLED_PIECE_BYTES) {
      const piece = chunk.subarray(start, start + THROTTLED_PIECE_BYTES)
      this.#hold(piece, mode.throttle.reserve(this.#direction, piece.length, performance.now()))
    }
  }

  /** Holds a piece for a time, but never past an older one. */
  #hold(chunk: Buffer | undefined, delayMs: number): void {
    const nowMs = performance.now()
    this.#dueAtMs = Math.max(this.#dueAtMs, nowMs + delayMs)
    const timer = setTimeout(() => this.#sendOldest(), this.#dueAtMs - nowMs)
    this.#held.push({ chunk, timer })
    this.#heldBytes += chunk?.length ?? 0
    if (this.#heldBytes > MAX_HELD_BYTES) this.#from.pause()
  }

  #sendOldest(): void {
    const oldest = this.#held.shift()
    if (oldest === undefined) return
    this.#heldBytes -= oldest.chunk?.length ?? 0
    if (this.#heldBytes <= MAX_HELD_BYTES) this.#from.resume()
    // The mode may have changed since: a black hole swallows what is under way as well.
    if (this.#mode().kind === 'blackHole') this.#hasLost = true
    else this.#send(oldest.chunk)
  }

  #send(chunk: Buffer | undefined): void {
    if (!this.#to.writable) return
    if (chunk === undefined) {
      this.#to.end()
      return
    }
    this.#onSent(chunk.length)
    if (!this.#to.write(chunk)) this.#from.pause()
  }
}
