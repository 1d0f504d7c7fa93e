import { connect } from 'node:net'

/** What a CancelRequest has to know of the session whose statement it ends. */
export interface CancelTarget {
  readonly host: string
  readonly port: number
  readonly processId: number
  readonly secretKey: number
}

const CANCEL_REQUEST_CODE = 80_877_102

/**
 * Sends a CancelRequest, which needs neither a password nor a free place on the server, and which a
 * pooler passes on. Resolves when the server has hung up, and so has done with it; rejects where it
 * cannot be reached within `timeoutMs`. Source: PostgreSQL manual, "Canceling Requests in Progress".
 */
export function sendCancelRequest(target: CancelTarget, timeoutMs: number): Promise<void> {
  const { host, port, processId, secretKey } = target
  const packet = Buffer.alloc(16)
  packet.writeInt32BE(16, 0)
  packet.writeInt32BE(CANCEL_REQUEST_CODE, 4)
  packet.writeInt32BE(processId, 8)
  packet.writeInt32BE(secretKey, 12)
  const socket = host.startsWith('/')
    ? connect({ path: `${host}/.s.PGSQL.${port}` })
    : connect({ host, port })
  return new Promise<void>((resolve, reject) => {
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new Error(`no answer to a cancel request within ${timeoutMs} ms`))
    })
    // Not ended from here: a pooler drops the request of a client that is gone.
    socket.on('connect', () => socket.write(packet))
    socket.on('error', reject)
    socket.on('close', (hadError) => {
      if (!hadError) resolve()
    })
    socket.resume()
  })
}
