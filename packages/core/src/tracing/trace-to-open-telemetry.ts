import type { AsyncLocalStorage } from 'node:async_hooks'
import type * as OpenTelemetry from '@opentelemetry/api'
import { DharmaError } from '../errors.ts'
import type { Operation, OperationContext } from './operation.ts'
import { onOperation } from './operations.ts'

export interface OpenTelemetryTracingOptions {
  /** Makes the spans. @default the global provider's tracer named `dharma` */
  readonly tracer?: OpenTelemetry.Tracer
  /** Operations whose names begin with it get spans. @default 'dharma:' */
  readonly prefix?: string
  /**
   * Whether spans carry the messages of all errors. Those of other libraries may quote a query or
   * an address; without this, only our own errors' messages are recorded. @default false
   */
  readonly recordsForeignMessages?: boolean
}

type Api = Pick<typeof OpenTelemetry, 'context' | 'diag' | 'trace' | 'SpanKind' | 'SpanStatusCode'>
type Facts = OperationContext & Readonly<Record<string, unknown>>

/**
 * Makes an OpenTelemetry span of each operation, those defined later too. A span is the child of
 * the one that is active where the operation starts, and is active itself inside of it. What the
 * tracer throws goes to OpenTelemetry's own `diag` logger.
 *
 * @param api the module `@opentelemetry/api`, which the service brings.
 * @returns a handle that stops it, and ends the spans that are open.
 */
export function traceToOpenTelemetry(
  api: Api,
  options: OpenTelemetryTracingOptions = {},
): Disposable {
  const { prefix = 'dharma:' } = options
  const stops = new DisposableStack()
  stops.use(
    onOperation((operation) => {
      if (operation.name.startsWith(prefix)) subscribe(api, operation, options, stops)
    }),
  )
  return stops
}

function subscribe(
  api: Api,
  { channel, name, attributes, kind }: Operation<never>,
  {
    tracer = api.trace.getTracer('dharma'),
    recordsForeignMessages = false,
  }: OpenTelemetryTracingOptions,
  stops: DisposableStack,
): void {
  const open = new Map<object, OpenTelemetry.Span>()
  const spanName = name.replaceAll(':', '.')
  const spanKind = kind === 'client' ? api.SpanKind.CLIENT : api.SpanKind.INTERNAL

  const start = (facts: Facts): OpenTelemetry.Context => {
    const parent = api.context.active()
    try {
      const first = { kind: spanKind, attributes: attributesOf(facts, attributes) }
      const span = tracer.startSpan(spanName, first, parent)
      open.set(facts, span)
      return api.trace.setSpan(parent, span)
    } catch (error) {
      api.diag.error(`no span for ${name}`, error)
      return parent
    }
  }
  const finish = (facts: Facts): void => {
    const span = open.get(facts)
    if (span === undefined) return
    open.delete(facts)
    try {
      span.setAttributes(attributesOf(facts, attributes))
      if ('error' in facts) recordError(api, span, facts.error, recordsForeignMessages)
      span.end()
    } catch (error) {
      api.diag.error(`the span of ${name} was not ended`, error)
    }
  }
  // A synchronous run has its result or error at `end`; an asynchronous one never has by then.
  const finishIfEnded = (facts: Facts): void => {
    if ('result' in facts || 'error' in facts) finish(facts)
  }

  const store = contextStore(api)
  const handlers = { end: finishIfEnded, asyncEnd: finish } as never
  channel.start.bindStore(store, start)
  channel.subscribe(handlers)
  stops.defer(() => {
    channel.start.unbindStore(store)
    channel.unsubscribe(handlers)
    for (const facts of open.keys()) finish(facts as Facts)
  })
}

/**
 * OpenTelemetry's active context as a channel's store: the channel only runs it, and which storage
 * holds the context is the business of the service's context manager.
 */
function contextStore(api: Api): AsyncLocalStorage<unknown> {
  const store = {
    run: <Result>(active: OpenTelemetry.Context, next: () => Result): Result =>
      api.context.with(active, next),
  }
  return store as unknown as AsyncLocalStorage<unknown>
}

function attributesOf(facts: Facts, names: readonly string[]): OpenTelemetry.Attributes {
  const attributes: OpenTelemetry.Attributes = {}
  for (const name of names) {
    const value = facts[name]
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      attributes[`dharma.${name}`] = value
    }
  }
  return attributes
}

/** Source: OpenTelemetry, "Semantic conventions for exceptions". */
function recordError(
  api: Api,
  span: OpenTelemetry.Span,
  error: unknown,
  recordsForeignMessages: boolean,
): void {
  const type = typeOf(error)
  const isOurs = error instanceof DharmaError
  const message =
    error instanceof Error && (isOurs || recordsForeignMessages) ? error.message : undefined
  span.setAttribute('error.type', type)
  span.addEvent('exception', {
    'exception.type': type,
    ...(message === undefined ? {} : { 'exception.message': message }),
  })
  span.setStatus({
    code: api.SpanStatusCode.ERROR,
    ...(message === undefined ? {} : { message }),
  })
}

function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return error instanceof DharmaError ? error.code : error.name
}
