/**
 * A thread of a child process that answers while the main thread cannot: it takes back tasks that
 * were not begun, and ends the process when the pool's own process is gone, whatever hangs here.
 */
import { Socket } from 'node:net'
import { workerData } from 'node:worker_threads'
import { ChildClaims } from './child-claims.ts'
import { FrameReader, frameOf } from './frames.ts'
import { REVOKED, WATCHDOG_FD } from './protocol.ts'

const claims = new ChildClaims(workerData as SharedArrayBuffer)
const reader = new FrameReader()
const pool = new Socket({ fd: WATCHDOG_FD, readable: true, writable: true })

pool.on('data', (chunk: Buffer) => {
  reader.read(chunk, (message) => {
    const [, ticket, slot] = message as readonly [number, number, number]
    if (claims.revoke(slot, ticket)) pool.write(frameOf([REVOKED, ticket, slot]))
  })
})
pool.on('error', () => process.kill(process.pid, 'SIGKILL'))
pool.on('close', () => process.kill(process.pid, 'SIGKILL'))
