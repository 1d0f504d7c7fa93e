import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Metrics } from '@dharma/core'
import { createHealth } from '@dharma/core/health'
import {
  createFetchHandler,
  createNodeHandler,
  probePlugin,
  type ProbeOptions,
} from '@dharma/core/http'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { ask, listen, type Answer } from './ask.ts'

type Ask = (path: string, options?: Parameters<typeof ask>[2]) => Promise<Answer>
type Serve = (options: ProbeOptions) => Promise<AsyncDisposable & { readonly ask: Ask }>

const overSocket: Serve = async (options) => {
  const opened = await listen(createServer(createNodeHandler(options)))
  return { ask: (path, more) => ask(opened.port, path, more), ...disposedWith(opened) }
}

const overFetch: Serve = async (options) => {
  const handler = createFetchHandler(options)
  return {
    async ask(path, more = {}) {
      const response = await handler(new Request(`http://service${path}`, more))
      const headers = Object.fromEntries(response.headers)
      return { status: response.status, headers, text: await response.text() }
    },
    async [Symbol.asyncDispose]() {},
  }
}

const overFastify: Serve = async (options) => {
  const app = fastify()
  await app.register(probePlugin, options)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const port = (app.server.address() as AddressInfo).port
  return { ask: (path, more) => ask(port, path, more), ...disposedWith(app) }
}

const servers: readonly (readonly [string, Serve])[] = [
  ['node:http', overSocket],
  ['fetch', overFetch],
  ['fastify', overFastify],
]

describe.each(servers)('over %s', (_, serve) => {
  test('each kind of health has its path and answers 200 or 503', async () => {
    const { clock, health } = start()
    await using server = await serve({ health })
    health.register({ name: 'alive', kind: 'liveness', check: () => true })
    health.register({ name: 'db', kind: 'readiness', check: () => false })
    const warm = health.register({ name: 'warm', kind: 'startup', check: () => false })
    await clock.advance(0)
    expect(await server.ask('/livez')).toMatchObject({ status: 200, text: '{"status":"up"}\n' })
    expect(await server.ask('/readyz')).toMatchObject({ status: 503, text: '{"status":"down"}\n' })
    expect(await server.ask('/startupz')).toMatchObject({ status: 503 })
    warm.unregister()
    expect(await server.ask('/startupz')).toMatchObject({ status: 200 })
  })

  test('an answer is JSON of known length that nobody caches', async () => {
    await using server = await serve({ health: start().health })
    const { headers } = await server.ask('/livez')
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-length': '16',
      'cache-control': 'no-store',
    })
  })

  test('?verbose shows every check, with the reason but without secrets', async () => {
    const { clock, health } = start()
    await using server = await serve({ health })
    health.register({
      name: 'db',
      kind: 'readiness',
      check: () => Promise.reject(new Error('no postgres://app:hunter2@db/orders')),
    })
    await clock.advance(0)
    const { status, text } = await server.ask('/readyz?verbose')
    expect(status).toBe(503)
    expect(text).not.toContain('hunter2')
    expect(JSON.parse(text)).toEqual({
      status: 'down',
      reason: 'db: no postgres://***@db/orders',
      pressure: { level: expect.any(Number), reasons: [] },
      checks: [
        {
          name: 'db',
          status: 'down',
          reason: 'no postgres://***@db/orders',
          since: '2023-11-14T22:13:20.000Z',
          checkedAt: '2023-11-14T22:13:20.000Z',
          durationMs: 0,
          consecutiveFailures: 1,
          isCritical: true,
        },
      ],
    })
  })

  test.each([
    ['?verbose=1', true],
    ['?a=b&verbose', true],
    ['?verbose=false', false],
    ['?verbose=0', false],
    ['?verbos', false],
  ])('%s is understood', async (query, isVerbose) => {
    await using server = await serve({ health: start().health })
    const { text } = await server.ask(`/livez${query}`)
    expect('checks' in JSON.parse(text)).toBe(isVerbose)
  })

  test('HEAD gets status and headers without a body', async () => {
    const { health } = start()
    health.drain()
    await using server = await serve({ health })
    const answer = await server.ask('/readyz', { method: 'HEAD' })
    expect(answer).toMatchObject({ status: 503, text: '' })
    expect(answer.headers['content-length']).toBe('18')
  })

  test('metrics are served in the format that is asked for', async () => {
    const metrics = createMetrics()
    metrics.counter('dharma_requests_total', { help: 'Requests.' }).bind().inc(3)
    await using server = await serve({ health: start().health, metrics })
    const plain = await server.ask('/metrics')
    expect(plain.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(plain.text).toContain('dharma_requests_total 3\n')
    const open = await server.ask('/metrics', {
      headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' },
    })
    expect(open.headers['content-type']).toContain('application/openmetrics-text')
    expect(open.text).toMatch(/# EOF\n$/)
  })

  test('metrics that fail are a 500 without a reason, and the owner is told', async () => {
    const failure = new Error('hunter2')
    const metrics: Pick<Metrics, 'expose'> = { expose: () => Promise.reject(failure) }
    const told: unknown[] = []
    await using server = await serve({
      health: start().health,
      metrics,
      onError: (error) => told.push(error),
    })
    expect(await server.ask('/metrics')).toMatchObject({
      status: 500,
      text: '{"status":"error"}\n',
    })
    expect(told).toEqual([failure])
  })

  test('there is no /metrics without metrics, and paths can be others', async () => {
    await using server = await serve({ health: start().health, paths: { livez: '/internal/up' } })
    expect(await server.ask('/internal/up')).toMatchObject({ status: 200 })
    expect(await server.ask('/livez')).toMatchObject({ status: 404 })
    expect(await server.ask('/metrics')).toMatchObject({ status: 404 })
  })
})

test.each([
  ['node:http', overSocket],
  ['fetch', overFetch],
])('over %s, other methods are refused', async (_, serve) => {
  await using server = await serve({ health: start().health })
  const answer = await server.ask('/livez', { method: 'POST' })
  expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
})

test('a failing /metrics is a process warning when nobody asks to be told', async () => {
  const warned = new Promise<Error>((resolve) => {
    process.once('warning', resolve)
  })
  const metrics = { expose: () => Promise.reject(new Error('token=hunter2')) }
  await createFetchHandler({ health: start().health, metrics })(new Request('http://s/metrics'))
  expect((await warned).message).toBe('metrics could not be exposed: token=***')
})

test('the node handler passes what is not its own to next, then to the fallback', async () => {
  const handler = createNodeHandler({ health: start().health }, (_, response) =>
    response.end('app'),
  )
  await using fallback = await listen(
    createServer((request, response) => handler(request, response)),
  )
  expect(await ask(fallback.port, '/orders')).toMatchObject({ status: 200, text: 'app' })
  await using next = await listen(
    createServer((request, response) => handler(request, response, () => response.end('next'))),
  )
  expect(await ask(next.port, '/orders')).toMatchObject({ text: 'next' })
  expect(await ask(next.port, '/livez')).toMatchObject({ text: '{"status":"up"}\n' })
})

test('the fetch handler passes what is not its own to the fallback', async () => {
  const handler = createFetchHandler({ health: start().health }, async () => new Response('app'))
  expect(await (await handler(new Request('http://s/'))).text()).toBe('app')
})

test('the Fastify plugin goes below a prefix', async () => {
  const app = fastify()
  await app.register(probePlugin, { health: start().health, prefix: '/internal' })
  expect(await app.inject('/internal/livez')).toMatchObject({ statusCode: 200 })
  expect(await app.inject('/livez')).toMatchObject({ statusCode: 404 })
  await app.close()
})

test('paths that are wrong or the same are refused', () => {
  const { health } = start()
  expect(() => createNodeHandler({ health, paths: { livez: 'livez' } })).toThrow(
    'paths.livez must begin with a slash, got livez',
  )
  expect(() => createNodeHandler({ health, paths: { readyz: '/livez' } })).toThrow(
    'paths.readyz is taken, got /livez',
  )
})

function start() {
  const clock = new ManualClock()
  return { clock, health: createHealth({ clock, eventLoop: false }) }
}

function disposedWith(resource: AsyncDisposable): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => resource[Symbol.asyncDispose]() }
}
