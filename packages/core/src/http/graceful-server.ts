import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { systemClock, type Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { requireRange } from '../range.ts'

export interface GracefulServerOptions {
  /** How long {@link GracefulServer.close} lets requests end, in milliseconds. At least 0. @default 10_000 */
  readonly deadlineMs?: number
  /** @default systemClock */
  readonly clock?: Clock
}

/** A server that can go down without cutting requests off; `lifecycle.use` takes it as it is. */
export interface GracefulServer extends AsyncDisposable {
  /** Requests that are being answered. */
  readonly activeRequests: number
  /**
   * Takes no new connections, closes idle ones, and says `Connection: close` in every response from
   * now on, so that clients come back on another connection, to another process.
   */
  stopAccepting(): void
  /**
   * Resolves when the last connection has ended, with 0. When the signal aborts, those left are
   * cut, and it resolves with their number.
   */
  finish(signal?: AbortSignal): Promise<number>
  /** {@link stopAccepting} and {@link finish} with the deadline. Resolves with the connections cut. */
  close(): Promise<number>
}

/** Watches a server's connections from now on: call it before the server listens. */
export function createGracefulServer(
  server: Server | SecureServer,
  options: GracefulServerOptions = {},
): GracefulServer {
  return new GracefulHttpServer(server, options)
}

class GracefulHttpServer implements GracefulServer {
  readonly #server: Server | SecureServer
  readonly #clock: Clock
  readonly #deadlineMs: number
  readonly #sockets = new Set<Socket>()
  readonly #responses = new Set<ServerResponse>()
  #closed: Promise<void> | undefined

  constructor(
    server: Server | SecureServer,
    { deadlineMs = 10_000, clock = systemClock }: GracefulServerOptions,
  ) {
    requireRange('deadlineMs', deadlineMs, 0)
    this.#server = server
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
      this.#responses.add(response)
      if (this.#closed !== undefined) response.setHeader('connection', 'close')
      response.once('close', () => this.#onResponseEnd(response))
    })
  }

  get activeRequests(): number {
    return this.#responses.size
  }

  stopAccepting(): void {
    void this.#stop()
  }

  async finish(signal?: AbortSignal): Promise<number> {
    const closed = this.#stop()
    let cut = 0
    const onAbort = (): void => {
      cut = this.#sockets.size
      for (const socket of this.#sockets) socket.destroy()
    }
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    await closed
    signal?.removeEventListener('abort', onAbort)
    return cut
  }

  async close(): Promise<number> {
    const deadline = new AbortController()
    const timer = this.#clock.setTimeout(
      () => deadline.abort(new TimeoutError('the shutdown of the server', this.#deadlineMs)),
      this.#deadlineMs,
    )
    const cut = await this.finish(deadline.signal)
    timer.cancel()
    return cut
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #stop(): Promise<void> {
    if (this.#closed !== undefined) return this.#closed
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed = promise
    // The callback's only error says that the server does not listen, which is what is wanted.
    this.#server.close(() => resolve())
    for (const response of this.#responses) {
      if (!response.headersSent) response.setHeader('connection', 'close')
    }
    return promise
  }

  /** A response that had promised keep-alive before the stop leaves a connection that waits for more. */
  #onResponseEnd(response: ServerResponse): void {
    this.#responses.delete(response)
    if (this.#closed !== undefined) setImmediate(() => this.#server.closeIdleConnections())
  }
}
