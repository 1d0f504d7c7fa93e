import { once } from 'node:events'
import { Agent, createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { createGracefulServer } from '@dharma/core/http'
import { ManualClock } from '@dharma/core/testing'
import { expect, test } from 'vitest'
import { ask, listen } from './ask.ts'

/** A server whose responses are ended by the test. */
async function start() {
  const clock = new ManualClock()
  const held: ((response: ServerResponse) => void)[] = []
  const responses: ServerResponse[] = []
  const server = createServer((_request, response) => {
    const waiting = held.shift()
    if (waiting === undefined) responses.push(response)
    else waiting(response)
  })
  const graceful = createGracefulServer(server, { clock, deadlineMs: 3_000 })
  const opened = await listen(server)
  const agent = new Agent({ keepAlive: true })
  const nextRequest = () =>
    new Promise<ServerResponse>((resolve) => {
      const waiting = responses.shift()
      if (waiting === undefined) held.push(resolve)
      else resolve(waiting)
    })
  return {
    clock,
    server,
    graceful,
    nextRequest,
    port: opened.port,
    agent,
    async [Symbol.asyncDispose]() {
      agent.destroy()
      await opened[Symbol.asyncDispose]()
    },
  }
}

test('a request under way is answered, with Connection: close, before the server is down', async () => {
  await using it = await start()
  const answer = ask(it.port, '/', { agent: it.agent })
  const response = await it.nextRequest()
  expect(it.graceful.activeRequests).toBe(1)
  const closed = it.graceful.close()
  await expect(ask(it.port, '/')).rejects.toThrow('ECONNREFUSED')
  response.end('done')
  expect(await answer).toMatchObject({ text: 'done', headers: { connection: 'close' } })
  expect(await closed).toBe(0)
  expect(it.graceful.activeRequests).toBe(0)
  expect(it.clock.pendingTimers).toBe(0)
})

test('idle keep-alive connections are closed at once', async () => {
  await using it = await start()
  const answer = ask(it.port, '/', { agent: it.agent })
  const response = await it.nextRequest()
  response.end()
  expect((await answer).headers['connection']).toBe('keep-alive')
  expect(await it.graceful.close()).toBe(0)
})

test('a response that had promised keep-alive is ended, and its connection after it', async () => {
  await using it = await start()
  const answer = ask(it.port, '/', { agent: it.agent })
  const response = await it.nextRequest()
  response.write('first ')
  it.graceful.stopAccepting()
  response.end('last')
  expect(await answer).toMatchObject({ text: 'first last', headers: { connection: 'keep-alive' } })
  expect(await it.graceful.finish()).toBe(0)
})

test('a request that comes in on an open connection while it stops is told to go', async () => {
  await using it = await start()
  const socket = connect(it.port, '127.0.0.1')
  socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  const first = await it.nextRequest()
  first.write('1')
  const closed = it.graceful.close()
  first.end()
  const second = await it.nextRequest()
  second.end('2')
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  expect(text.match(/connection: [\w-]+/gi)).toEqual([
    'Connection: keep-alive',
    'connection: close',
  ])
  expect(await closed).toBe(0)
})

test('what is left at the deadline is cut', async () => {
  await using it = await start()
  const cut = ask(it.port, '/').catch((error: unknown) => error)
  await it.nextRequest()
  const closed = it.graceful.close()
  await it.clock.advance(2_999)
  expect(it.graceful.activeRequests).toBe(1)
  await it.clock.advance(1)
  expect(await closed).toBe(1)
  expect(await cut).toMatchObject({ message: 'socket hang up' })
})

test('an upgraded connection is cut at the deadline too', async () => {
  await using it = await start()
  it.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
  })
  const socket = connect(it.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
  await once(socket, 'data')
  const ended = new Promise((resolve) => {
    socket.once('close', resolve)
    socket.on('error', () => {})
  })
  const closed = it.graceful.close()
  await it.clock.advance(3_000)
  expect(await closed).toBe(1)
  await ended
})

test('a signal that has aborted cuts at once', async () => {
  await using it = await start()
  const cut = ask(it.port, '/').catch((error: unknown) => error)
  await it.nextRequest()
  expect(await it.graceful.finish(AbortSignal.abort())).toBe(1)
  expect(await cut).toMatchObject({ message: 'socket hang up' })
})

test('a server that does not listen is closed at once, however often', async () => {
  const graceful = createGracefulServer(createServer())
  await graceful[Symbol.asyncDispose]()
  expect(await graceful.close()).toBe(0)
})

test('a deadline below 0 is refused', () => {
  expect(() => createGracefulServer(createServer(), { deadlineMs: -1 })).toThrow(
    'deadlineMs must be at least 0, got -1',
  )
})
