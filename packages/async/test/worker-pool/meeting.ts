import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** Where tasks meet: each that connects is let go when `size` are there. */
export async function openMeeting(
  size: number,
): Promise<AsyncDisposable & { readonly port: number }> {
  let present: Socket[] = []
  const server = createServer((socket) => {
    if (present.push(socket) < size) return
    for (const one of present) one.end()
    present = []
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const one of present) one.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
