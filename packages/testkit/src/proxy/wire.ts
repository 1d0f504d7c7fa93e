import type { Socket } from 'node:net'
import type { ProxyMode } from './proxy-mode.ts'
import { Lane } from './lane.ts'

/** What a {@link Wire} asks of its proxy and tells it. */
export interface WireOwner {
  readonly mode: () => ProxyMode
  readonly onBytes: (toServer: number, toClient: number) => void
  readonly onClose: () => void
}

/** One connection through the proxy: a socket to the client, one to the server, a lane each way. */
export class Wire {
  readonly #sockets: readonly [Socket, Socket]
  readonly #lanes: readonly [Lane, Lane]
  readonly #owner: WireOwner

  constructor(client: Socket, server: Socket, owner: WireOwner) {
    this.#sockets = [client, server]
    this.#owner = owner
    this.#lanes = [
      new Lane('toServer', { from: client, to: server }, owner.mode, (bytes) =>
        owner.onBytes(bytes, 0),
      ),
      new Lane('toClient', { from: server, to: client }, owner.mode, (bytes) =>
        owner.onBytes(0, bytes),
      ),
    ]
    for (const socket of this.#sockets) {
      socket.setNoDelay(true)
      socket.on('error', () => this.#failed())
      socket.on('close', () => this.#closed())
    }
  }

  /** FIN both ways; what is held back is lost. */
  end(): void {
    for (const lane of this.#lanes) lane.drop()
    for (const socket of this.#sockets) {
      socket.end(() => socket.destroy())
    }
  }

  /** RST both ways. */
  reset(): void {
    for (const lane of this.#lanes) lane.drop()
    for (const socket of this.#sockets) {
      if (!socket.destroyed) socket.resetAndDestroy()
    }
  }

  /** Sends what a fault held back; a connection that lost bytes cannot go on and is reset. */
  heal(): void {
    const isBroken = this.#sockets.some((socket) => socket.destroyed)
    if (isBroken || this.#lanes.some((lane) => lane.hasLost)) this.reset()
    else for (const lane of this.#lanes) lane.flush()
  }

  /** A side that breaks breaks the other, unless a black hole keeps the news. */
  #failed(): void {
    if (this.#owner.mode().kind !== 'blackHole') this.reset()
  }

  #closed(): void {
    if (this.#sockets.every((socket) => socket.destroyed)) this.#owner.onClose()
    // A connection that is gone on one side is gone on the other, but not before its last bytes.
    else if (this.#owner.mode().kind !== 'blackHole') {
      for (const lane of this.#lanes) lane.finish()
    }
  }
}
