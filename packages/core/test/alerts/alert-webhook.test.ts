import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import {
  AlertWebhook,
  AlertWebhookError,
  type AlertChange,
  type AlertReading,
  type AlertWebhookOptions,
  type WebhookPayload,
} from '@dharma/core/alerts'
import { ClosedError, Secret, TimeoutError } from '@dharma/core'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

interface Posted {
  readonly authorization: string | undefined
  readonly body: WebhookPayload
}

/** A receiver that answers with these statuses in turn, the last one for good; 0 never answers. */
async function receive(...statuses: number[]): Promise<{ url: string; posted: Posted[] }> {
  const posted: Posted[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = await request.toArray()
    const body = JSON.parse(Buffer.concat(chunks).toString()) as WebhookPayload
    posted.push({ authorization: request.headers.authorization, body })
    const status = statuses.length > 1 ? statuses.shift() : statuses[0]
    if (status !== 0) response.writeHead(status ?? 200).end('seen')
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary`, posted }
}

class Source {
  readonly #listeners = new Set<(change: AlertChange) => void>()

  onChange(listener: (change: AlertChange) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  emit(name: string, to: AlertChange['to']): void {
    const times = { sinceMs: 0, firingSinceMs: 1_000, resolvedAtMs: 2_000, value: 1 }
    const alert = {
      name,
      severity: 'critical',
      summary: 'Broken',
      runbook: 'https://example.test/r',
      labels: { queue: 'mail' },
      state: { status: to, ...times },
    } as AlertReading
    for (const listener of this.#listeners) listener({ alert, from: 'inactive', to })
  }
}

function post(options: AlertWebhookOptions): {
  source: Source
  webhook: AlertWebhook
  failures: Error[]
} {
  const source = new Source()
  const failures: Error[] = []
  const webhook = new AlertWebhook(source, {
    onFailure: (error) => failures.push(error),
    backoffMs: 0,
    ...options,
  })
  onTestFinished(() => webhook.close())
  return { source, webhook, failures }
}

describe('AlertWebhook', () => {
  test('posts what fires and what is resolved together, as Alertmanager does', async () => {
    const { url, posted } = await receive(200)
    const { source, webhook, failures } = post({
      url: new Secret(url),
      headers: { authorization: new Secret('Bearer x') },
      labels: { instance: 'i-1' },
    })
    source.emit('Some', 'pending')
    source.emit('Some', 'firing')
    source.emit('Other', 'resolved')
    await webhook.flush(AbortSignal.timeout(5_000))
    expect(failures).toEqual([])
    expect(posted).toEqual([
      {
        authorization: 'Bearer x',
        body: {
          version: '4',
          receiver: 'dharma',
          status: 'firing',
          groupLabels: {},
          commonLabels: { instance: 'i-1' },
          alerts: [
            {
              status: 'firing',
              labels: { instance: 'i-1', queue: 'mail', alertname: 'Some', severity: 'critical' },
              annotations: { summary: 'Broken', runbook_url: 'https://example.test/r' },
              startsAt: '1970-01-01T00:00:01.000Z',
              endsAt: '0001-01-01T00:00:00Z',
            },
            expect.objectContaining({ status: 'resolved', endsAt: '1970-01-01T00:00:02.000Z' }),
          ],
        },
      },
    ])
  })

  test('tries again when the receiver is at fault, and not when it refuses', async () => {
    const busy = await receive(503, 429, 200)
    const first = post({ url: busy.url })
    first.source.emit('Some', 'firing')
    await first.webhook.flush()
    expect(busy.posted).toHaveLength(3)
    expect(first.failures).toEqual([])

    const strict = await receive(400)
    const second = post({ url: strict.url })
    second.source.emit('Some', 'firing')
    await second.webhook.flush()
    expect(strict.posted).toHaveLength(1)
    expect(second.failures).toMatchObject([
      { code: 'DHARMA_ALERT_WEBHOOK', lost: 1, message: expect.stringMatching(/it answered 400$/) },
    ])
  })

  test('gives up after its attempts without showing the URL', async () => {
    const { source, webhook, failures } = post({ url: 'http://127.0.0.1:9/canary', maxAttempts: 2 })
    source.emit('Some', 'firing')
    await webhook.flush()
    expect(failures).toHaveLength(1)
    expect(failures[0]).toBeInstanceOf(AlertWebhookError)
    expect(failures[0]?.message).toMatch(/^1 changes of alerts did not reach the webhook: \w+$/)
  })

  test('names the code of a connection that is refused', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary`
    await once(server.close(), 'close')
    const { source, webhook, failures } = post({ url, maxAttempts: 1 })
    source.emit('Some', 'firing')
    await webhook.flush()
    expect(failures.map(({ message }) => message)).toEqual([
      '1 changes of alerts did not reach the webhook: ECONNREFUSED',
    ])
  })

  test('says resolved when none of those that it posts is firing', async () => {
    const { url, posted } = await receive(200)
    const { source, webhook } = post({ url })
    source.emit('Some', 'resolved')
    await webhook.flush()
    expect(posted.map(({ body }) => body.status)).toEqual(['resolved'])
  })

  test('ends a request that takes too long', async () => {
    const { url, posted } = await receive(0)
    const clock = new ManualClock()
    const { source, webhook, failures } = post({ url, clock, maxAttempts: 1, timeoutMs: 5_000 })
    source.emit('Some', 'firing')
    await vi.waitFor(() => expect(posted).toHaveLength(1))
    await clock.advance(5_000)
    await webhook.flush()
    expect(failures[0]?.cause).toEqual(new TimeoutError('the alert webhook', 5_000))
    expect(clock.pendingTimers).toBe(0)
  })

  test('drops the oldest when too many wait', async () => {
    const { url, posted } = await receive(200)
    const { source, webhook, failures } = post({ url, maxPending: 2 })
    for (const name of ['One', 'Two', 'Three']) source.emit(name, 'firing')
    await webhook.flush()
    expect(failures).toMatchObject([{ lost: 1 }])
    expect(posted[0]?.body.alerts.map(({ labels }) => labels['alertname'])).toEqual([
      'Two',
      'Three',
    ])
  })

  test('takes nothing after close, which ends the request under way', async () => {
    const { url, posted } = await receive(0)
    const { source, webhook, failures } = post({ url })
    source.emit('Some', 'firing')
    await vi.waitFor(() => expect(posted).toHaveLength(1))
    await webhook[Symbol.asyncDispose]()
    expect(failures[0]?.cause).toEqual(new ClosedError('the alert webhook'))
    source.emit('Some', 'resolved')
    await webhook.flush()
    expect(posted).toHaveLength(1)
  })

  test('flush ends with its signal', async () => {
    const { url } = await receive(0)
    const { source, webhook } = post({ url })
    source.emit('Some', 'firing')
    const controller = new AbortController()
    const flushed = webhook.flush(controller.signal)
    controller.abort(new Error('enough'))
    await expect(flushed).rejects.toThrow('enough')
    await expect(webhook.flush(AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
  })

  test('a handler of failures that throws is a warning, and the default is one', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { url } = await receive(400)
    for (const onFailure of [
      undefined,
      () => {
        throw new Error('token=canary')
      },
    ]) {
      const { source, webhook } = post({ url, onFailure } as AlertWebhookOptions)
      source.emit('Some', 'firing')
      await webhook.flush()
    }
    expect(warned.mock.calls.map(([message]) => message)).toEqual([
      '1 changes of alerts did not reach the webhook: it answered 400',
      'onFailure of an alert webhook: token=***',
    ])
  })

  test.each([
    [{ url: 'ftp://h' }, 'url of the alert webhook must be an http or https URL'],
    [{ url: 'canary' }, 'url of the alert webhook must be an http or https URL'],
    [{ url: 'http://h', timeoutMs: 0 }, 'timeoutMs of the alert webhook must be at least 1, got 0'],
    [
      { url: 'http://h', backoffMs: -1 },
      'backoffMs of the alert webhook must be at least 0, got -1',
    ],
  ])('%j is refused', (options, message) => {
    expect(() => new AlertWebhook(new Source(), options)).toThrow(message)
  })
})
