import * as api from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { TimeoutError } from '@dharma/core'
import { createOperation, traceToOpenTelemetry } from '@dharma/core/tracing'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'

interface Facts extends Record<string, unknown> {
  readonly cache: string
  readonly key: string
  outcome?: string
}

const exporter = new InMemorySpanExporter()
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
const tracer = provider.getTracer('test')
const load = createOperation<Facts>('spans:cache:load', {
  attributes: ['cache', 'outcome'],
  kind: 'client',
})
const parse = createOperation<Facts>('spans:cache:parse', { attributes: ['cache'] })
const facts = (): Facts => ({ cache: 'users', key: 'canary-secret' })
let tracing: Disposable

beforeAll(() => {
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  tracing = traceToOpenTelemetry(api, { tracer, prefix: 'spans:' })
})
afterEach(() => exporter.reset())
afterAll(async () => {
  tracing[Symbol.dispose]()
  api.context.disable()
  await provider.shutdown()
})

it('an operation is a span under the active one, and the parent of those inside of it', async () => {
  await tracer.startActiveSpan('request', async (request) => {
    await load.trace(facts(), async (own) => {
      await Promise.resolve()
      own.outcome = 'miss'
      parse.traceSync(facts(), () => undefined)
    })
    request.end()
  })
  const spans = exporter.getFinishedSpans()
  const [parsed, loaded, request] = spans
  expect(spans.map(({ name }) => name)).toEqual([
    'spans.cache.parse',
    'spans.cache.load',
    'request',
  ])
  expect(parsed?.parentSpanContext?.spanId).toBe(loaded?.spanContext().spanId)
  expect(loaded?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId)
  expect(loaded?.kind).toBe(api.SpanKind.CLIENT)
  expect(loaded?.attributes).toEqual({ 'dharma.cache': 'users', 'dharma.outcome': 'miss' })
})

it('facts that are not named as attributes never leave the process', async () => {
  const failing = load.trace(facts(), async () => {
    throw new TypeError('SELECT canary-secret')
  })
  await expect(failing).rejects.toThrow(TypeError)
  const [{ attributes, events, status } = {}] = exporter.getFinishedSpans()
  expect(attributes).toEqual({ 'dharma.cache': 'users', 'error.type': 'TypeError' })
  expect(status).toEqual({ code: api.SpanStatusCode.ERROR })
  expect(JSON.stringify({ attributes, events, status })).not.toContain('canary-secret')
})

it('our own errors are recorded with code and message, and thrown as they are', () => {
  const error = new TimeoutError('the load', 5)
  const run = () =>
    parse.traceSync(facts(), () => {
      throw error
    })
  expect(run).toThrow(error)
  const [span] = exporter.getFinishedSpans()
  expect(span?.status.message).toBe('the load did not end within 5 ms')
  expect(span?.attributes['error.type']).toBe('DHARMA_TIMEOUT')
})

it('a thrown non-error is recorded by its type', () => {
  const run = () =>
    parse.traceSync(facts(), () => {
      throw 'text'
    })
  expect(run).toThrow('text')
  expect(exporter.getFinishedSpans()[0]?.attributes['error.type']).toBe('string')
})

it('messages of foreign errors are recorded on request', async () => {
  const operation = createOperation<Facts>('foreign:cache:load', { attributes: [] })
  using stops = new DisposableStack()
  const options = { tracer, prefix: 'foreign:', recordsForeignMessages: true }
  stops.use(traceToOpenTelemetry(api, options))
  await operation.trace(facts(), () => Promise.reject(new Error('seen'))).catch(() => undefined)
  expect(exporter.getFinishedSpans()[0]?.status.message).toBe('seen')
})

it('operations of other owners get no span, and open spans are ended at the stop', async () => {
  const other = createOperation('else:cache:load', { attributes: [] })
  const open = createOperation('stopped:cache:load', { attributes: [] })
  const handle = traceToOpenTelemetry(api, { tracer, prefix: 'stopped:' })
  const { promise, resolve } = Promise.withResolvers<void>()
  const running = open.trace({}, () => promise)
  other.traceSync({}, () => undefined)
  handle[Symbol.dispose]()
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['stopped.cache.load'])
  resolve()
  await running
  expect(open.isTraced).toBe(false)
})

it('a tracer that throws hurts nobody', () => {
  const operation = createOperation('throwing:cache:load', { attributes: [] })
  const error = vi.spyOn(api.diag, 'error').mockReturnValue()
  const broken = {
    startSpan() {
      throw new Error('broken')
    },
  }
  using stops = new DisposableStack()
  stops.use(traceToOpenTelemetry(api, { tracer: broken as never, prefix: 'throwing:' }))
  expect(operation.traceSync({}, () => 1)).toBe(1)
  const half = { ...api.trace.getTracer('x').startSpan('x'), setAttributes: broken.startSpan }
  broken.startSpan = () => half as never
  expect(operation.traceSync({}, () => 2)).toBe(2)
  expect(error).toHaveBeenCalledTimes(2)
})
