import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { startFaultProxy, type FaultProxy } from '@dharma/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let echo: Server
let proxy: FaultProxy
let echoSockets: Socket[]
let clients: Socket[]

beforeEach(async () => {
  clients = []
  echoSockets = []
  echo = createServer((socket) => {
    echoSockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  proxy = await startFaultProxy({ host: '127.0.0.1', port: address.port })
})

afterEach(async () => {
  for (const socket of [...clients, ...echoSockets]) socket.destroy()
  await proxy.close()
  echo.close()
})

async function dial(): Promise<Socket> {
  const socket = connect({ host: proxy.host, port: proxy.port })
  clients.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  let received = Buffer.alloc(0)
  while (received.length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    received = Buffer.concat([received, chunk])
  }
  return received
}

async function ask(socket: Socket, text: string): Promise<string> {
  const reply = read(socket, Buffer.byteLength(text))
  socket.write(text)
  return (await reply).toString()
}

/** Unlike `once()`, this takes an error as one way to close. */
function closing(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve))
}

async function elapsedMs(action: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await action()
  return performance.now() - startMs
}

describe('a fault proxy', () => {
  it('passes bytes both ways and counts them', async () => {
    const socket = await dial()
    expect(await ask(socket, 'hello')).toBe('hello')
    expect(proxy.statistics).toEqual({
      openConnections: 1,
      acceptedConnections: 1,
      bytesToServer: 5,
      bytesToClient: 5,
    })
  })

  it('passes a megabyte unchanged', async () => {
    const socket = await dial()
    const sent = Buffer.from(Array.from({ length: 1024 * 1024 }, (_, index) => (index * 7) % 251))
    const reply = read(socket, sent.length)
    socket.write(sent)
    expect((await reply).equals(sent)).toBe(true)
  })

  it('passes the end of a stream, and the reply that follows it', async () => {
    const socket = await dial()
    const ended = once(socket, 'end')
    const reply = read(socket, 4)
    socket.end('last')
    expect((await reply).toString()).toBe('last')
    await ended
  })

  it('delays each direction', async () => {
    const socket = await dial()
    proxy.delay(60)
    expect(await elapsedMs(() => ask(socket, 'slow'))).toBeGreaterThanOrEqual(118)
  })

  it('keeps the order of what it delays when it is healed meanwhile', async () => {
    const socket = await dial()
    proxy.delay(60_000)
    const reply = read(socket, 6)
    socket.write('one')
    await once(AbortSignal.timeout(50), 'abort')
    await proxy.heal()
    socket.write('two')
    expect((await reply).toString()).toBe('onetwo')
  })

  it('limits the rate', async () => {
    const socket = await dial()
    proxy.throttle(20_000)
    const spentMs = await elapsedMs(() => ask(socket, 'x'.repeat(6000)))
    expect(spentMs).toBeGreaterThanOrEqual(290)
  })

  it('cuts connections with FIN and serves new ones', async () => {
    const socket = await dial()
    await ask(socket, 'a')
    const ended = once(socket, 'end')
    proxy.cut()
    await ended
    expect(await ask(await dial(), 'b')).toBe('b')
  })

  it('resets connections with RST on both sides', async () => {
    const socket = await dial()
    await ask(socket, 'a')
    const serverSide = echoSockets[0]
    if (serverSide === undefined) throw new Error('the echo server saw no connection')
    const closings = [closing(socket), closing(serverSide)]
    const failure = new Promise((resolve) => socket.once('error', resolve))
    proxy.reset()
    expect(await failure).toMatchObject({ code: 'ECONNRESET' })
    await Promise.all(closings)
    expect(proxy.statistics.openConnections).toBe(0)
  })

  it('is silent as a black hole, for old connections and new ones', async () => {
    const old = await dial()
    await ask(old, 'a')
    proxy.blackHole()
    const fresh = await dial()
    for (const socket of [old, fresh]) {
      socket.write('lost')
      const heard = once(socket, 'data', { signal: AbortSignal.timeout(60) })
      await expect(heard).rejects.toMatchObject({ name: 'AbortError' })
    }
    expect(proxy.statistics.bytesToServer).toBe(1)
  })

  it('resets what lost bytes in a black hole when it heals, and keeps what did not', async () => {
    const idle = await dial()
    const busy = await dial()
    await ask(idle, 'a')
    await ask(busy, 'a')
    proxy.blackHole()
    busy.write('lost')
    await once(AbortSignal.timeout(40), 'abort')
    const failure = new Promise((resolve) => busy.once('error', resolve))
    await proxy.heal()
    expect(await failure).toMatchObject({ code: 'ECONNRESET' })
    expect(await ask(idle, 'still here')).toBe('still here')
  })

  it('keeps the end of a client from the server in a black hole, until it heals', async () => {
    const socket = await dial()
    await ask(socket, 'a')
    const serverSide = echoSockets[0]
    if (serverSide === undefined) throw new Error('the echo server saw no connection')
    proxy.blackHole()
    socket.resetAndDestroy()
    const closed = closing(serverSide)
    const silence = once(AbortSignal.timeout(50), 'abort')
    expect(await Promise.race([closed.then(() => 'closed'), silence.then(() => 'silent')])).toBe(
      'silent',
    )
    await proxy.heal()
    await closed
  })

  it('refuses connections until it heals, on the same port', async () => {
    const { port } = proxy
    await ask(await dial(), 'a')
    await proxy.refuse()
    await proxy.refuse()
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await proxy.heal()
    expect(proxy.port).toBe(port)
    expect(await ask(await dial(), 'b')).toBe('b')
  })

  it('resets a client whose server is not there', async () => {
    await using lonely = await startFaultProxy({ host: '127.0.0.1', port: 1 })
    const socket = connect({ host: lonely.host, port: lonely.port })
    const failure = new Promise((resolve) => socket.once('error', resolve))
    expect(await failure).toMatchObject({ code: 'ECONNRESET' })
  })

  it('asks a server for its URL through the proxy', () => {
    const server = { urlThrough: ({ host, port }: FaultProxy) => `redis://${host}:${port}` }
    expect(proxy.urlOf(server as never)).toBe(`redis://127.0.0.1:${proxy.port}`)
  })

  it.each([
    ['delayMs must be 0 or more, got -1', () => proxy.delay(-1)],
    ['bytesPerSecond must be 1 or more, got 0', () => proxy.throttle(0)],
  ])('says which number is wrong: %s', (message, action) => {
    expect(action).toThrow(new RangeError(message))
  })
})
