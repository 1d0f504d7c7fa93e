import { once } from 'node:events'
import { createServer, connect, type Server, type Socket } from 'node:net'
import { freePort } from '../process/free-port.ts'
import type { Address, TestServer } from '../test-server.ts'
import type { ProxyMode } from './proxy-mode.ts'
import { Throttle } from './throttle.ts'
import { Wire } from './wire.ts'

/** Counts since the proxy started. */
export interface FaultProxyStatistics {
  /** Connections open at this moment. */
  readonly openConnections: number
  /** Connections taken, those that ended included. */
  readonly acceptedConnections: number
  readonly bytesToServer: number
  readonly bytesToClient: number
}

/** A TCP proxy on a loopback port that breaks the way to a server on command. */
export class FaultProxy implements AsyncDisposable, Address {
  readonly host = '127.0.0.1'
  readonly #target: Address
  readonly #wires = new Set<Wire>()
  readonly #server: Server
  #mode: ProxyMode = { kind: 'pass' }
  #port = 0
  #acceptedConnections = 0
  #bytesToServer = 0
  #bytesToClient = 0

  constructor(target: Address) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
  }

  get port(): number {
    return this.#port
  }

  get statistics(): FaultProxyStatistics {
    return {
      openConnections: this.#wires.size,
      acceptedConnections: this.#acceptedConnections,
      bytesToServer: this.#bytesToServer,
      bytesToClient: this.#bytesToClient,
    }
  }

  /** Listens; on the same port as before after a `refuse()`. */
  async listen(): Promise<this> {
    if (this.#port === 0) this.#port = await freePort()
    this.#server.listen({ host: this.host, port: this.#port })
    await once(this.#server, 'listening')
    return this
  }

  /** The server's URL through this proxy. */
  urlOf(server: Pick<TestServer, 'urlThrough'>): string {
    return server.urlThrough(this)
  }

  /** Each chunk arrives later by `delayMs`, in either direction, in its order. */
  delay(delayMs: number): void {
    if (!(delayMs >= 0)) throw new RangeError(`delayMs must be 0 or more, got ${delayMs}`)
    this.#mode = { kind: 'delay', delayMs }
  }

  /** All connections together get this many bytes in a second, in each direction. */
  throttle(bytesPerSecond: number): void {
    this.#mode = { kind: 'throttle', throttle: new Throttle(bytesPerSecond) }
  }

  /**
   * Connections are taken and nothing comes through, in either direction, on those that exist as well. What is
   * sent meanwhile is lost, so `heal()` resets the connections that lost something.
   */
  blackHole(): void {
    this.#mode = { kind: 'blackHole' }
  }

  /** Ends all connections in good order (FIN); new ones are served. */
  cut(): void {
    for (const wire of this.#wires) wire.end()
  }

  /** Resets all connections (RST); new ones are served. */
  reset(): void {
    for (const wire of this.#wires) wire.reset()
  }

  /** Resets all connections and refuses new ones, until `heal()`. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.reset()
    await closed
  }

  /** Ends all faults. Bytes that a delay or a throttle held back go on now. */
  async heal(): Promise<void> {
    this.#mode = { kind: 'pass' }
    for (const wire of this.#wires) wire.heal()
    if (!this.#server.listening) await this.listen()
  }

  /** Resets all connections and ends the proxy. A second call does nothing. */
  async close(): Promise<void> {
    await this.refuse()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(client: Socket): void {
    this.#acceptedConnections += 1
    const wire = new Wire(client, connect({ ...this.#address(), allowHalfOpen: true }), {
      mode: () => this.#mode,
      onBytes: (toServer, toClient) => {
        this.#bytesToServer += toServer
        this.#bytesToClient += toClient
      },
      onClose: () => this.#wires.delete(wire),
    })
    this.#wires.add(wire)
  }

  #address(): { readonly host: string; readonly port: number } {
    return { host: this.#target.host, port: this.#target.port }
  }
}

/** A proxy before a server, ready to take connections; it passes all until told otherwise. */
export function startFaultProxy(target: Address): Promise<FaultProxy> {
  return new FaultProxy(target).listen()
}
