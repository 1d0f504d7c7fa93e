/** Opens and closes what the tests of this folder talk to. */
import { once } from 'node:events'
import { request, type Agent, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Listens on a free port of the loopback; disposing cuts all connections. */
export async function listen(server: Server): Promise<AsyncDisposable & { readonly port: number }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

export interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** One request over a real socket. */
export async function ask(
  port: number,
  path: string,
  options: {
    readonly method?: string
    readonly agent?: Agent
    readonly headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const sent = request({ port, path, host: '127.0.0.1', ...options }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode, headers: response.headers, text }
}
