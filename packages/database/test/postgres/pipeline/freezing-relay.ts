import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Address } from '@dharma/testkit'

/** A TCP relay that can freeze the connections it has and still serve new ones. */
export class FreezingRelay implements AsyncDisposable, Address {
  readonly host = '127.0.0.1'
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(target: Address) {
    this.#server = createServer((client) => {
      const upstream = connect({ host: target.host, port: target.port })
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from)
        from.on('data', (chunk: Buffer) => to.write(chunk))
        // The end of one side is the end of the other, however it came.
        from.on('error', () => to.destroy())
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
      }
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen(): Promise<this> {
    this.#server.listen({ host: this.host, port: 0 })
    await once(this.#server, 'listening')
    return this
  }

  /** Nothing comes through any more on the connections there are, in either direction. */
  freeze(): void {
    for (const socket of this.#sockets) socket.pause()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }
}
