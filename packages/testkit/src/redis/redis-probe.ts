import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Address } from '../test-server.ts'

const PROBE_TIMEOUT_MS = 1000
/** Replies of a server that is up: one that asks for a password first is up as well. */
const UP = /^(?:\+PONG|-NOAUTH|-NOPERM)/u

/** Whether a Redis answers `PING`; undefined while it does not or still loads its data. */
export function probeRedis({ host, port }: Address, isTls: boolean): Promise<true | undefined> {
  return new Promise((resolve, reject) => {
    const socket: Socket = isTls
      ? // Only whether it answers is asked here; clients check the certificate.
        connectTls({ host, port, rejectUnauthorized: false })
      : connectTcp({ host, port })
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy(new Error('no answer to PING')))
    socket.once(isTls ? 'secureConnect' : 'connect', () => socket.write('PING\r\n'))
    socket.once('data', (reply) => {
      socket.destroy()
      resolve(UP.test(reply.toString('latin1')) ? true : undefined)
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(undefined))
  })
}
