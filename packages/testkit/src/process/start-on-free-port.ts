import { ServerStartError } from '../errors.ts'
import { freePort } from './free-port.ts'
import type { ManagedServer } from './managed-server.ts'

const MAX_ATTEMPTS = 4
const PORT_TAKEN =
  /address already in use|could not bind|SocketException: Address|port is already allocated/iu

/** Starts what `create` makes for a port, on another port where somebody took that one in between. */
export async function startOnFreePort(
  create: (port: number) => Promise<ManagedServer>,
  signal?: AbortSignal,
): Promise<ManagedServer> {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    const server = await create(await freePort())
    try {
      return await server.start(signal)
    } catch (error) {
      const isTaken = error instanceof ServerStartError && PORT_TAKEN.test(error.log)
      if (!isTaken || attempt === MAX_ATTEMPTS) throw error
    }
  }
}
