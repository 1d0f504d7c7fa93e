import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Address } from '@dharma/testkit'

/**
 * What becomes of a large message: done by the server and not answered, cut off in the middle, or
 * not begun, for its connection has ended unnoticed.
 */
export type MessageFate = 'unanswered' | 'half sent' | 'unsent'

export interface MessageProxy extends Address {
  /** What becomes of the next large messages, one after the other; all later ones pass. */
  plan(fates: readonly MessageFate[]): void
  /** Ends all connections if the next fate is `unsent`; called at once before a message is written. */
  beforeMessage(): void
  /** Fates that messages have met, in order. */
  readonly met: readonly MessageFate[]
  close(): Promise<void>
}

const LARGE_BYTES = 1024 * 1024

/** A proxy that looks at MongoDB messages, of which each begins with its length. */
export async function startMessageProxy(target: Address): Promise<MessageProxy> {
  const planned: MessageFate[] = []
  const met: MessageFate[] = []
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect({ host: target.host, port: target.port })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      // A connection that breaks is what the proxy is for; its other side is closed with it.
      socket.on('error', () => socket.destroy())
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    let leftOfMessage = 0
    let fate: MessageFate | undefined
    client.on('data', (chunk: Buffer) => {
      if (leftOfMessage === 0) {
        const length = chunk.readInt32LE(0)
        leftOfMessage = length
        if (length > LARGE_BYTES) fate = planned.shift()
        if (fate !== undefined) met.push(fate)
      }
      leftOfMessage -= chunk.length
      upstream.write(chunk)
      if (fate === 'half sent') {
        client.pause()
        client.resetAndDestroy()
      }
    })
    upstream.on('data', (chunk: Buffer) => {
      if (fate === 'unanswered') client.resetAndDestroy()
      else client.write(chunk)
    })
  })
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    host: '127.0.0.1',
    port: address.port,
    met,
    beforeMessage: () => {
      if (planned[0] !== 'unsent') return
      met.push('unsent')
      planned.shift()
      for (const socket of sockets) socket.resetAndDestroy()
    },
    plan: (fates) => void planned.push(...fates),
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
