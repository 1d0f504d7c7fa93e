import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const LOWEST = 10_240
/**
 * Below the range from which Linux (32768) and macOS (49152) take the ports of outgoing connections: a client
 * that keeps dialling a killed server could otherwise be given the server's own port.
 */
const HIGHEST = 32_767
const handedOut = new Set<number>()

/** A loopback port that nobody listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    if (handedOut.has(port)) continue
    if (!(await isFree(port))) continue
    handedOut.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
