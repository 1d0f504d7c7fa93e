import { tracingChannel } from 'node:diagnostics_channel'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import { createOperation } from '@dharma/core/tracing'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'

interface LookUpFacts extends Record<string, unknown> {
  readonly cache: string
  readonly key: number
}

/** Almost nothing, so that what is measured is the tracing. */
const table = new Int32Array(1024)

function lookUp(key: number): number {
  return ++table[key]!
}

function sync(work: (key: number) => unknown): Subject {
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) work(i & 1023)
    },
  }
}

function bare(): Subject {
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) lookUp(i & 1023)
    },
  }
}

const operation = createOperation<LookUpFacts>('dharma:bench:look-up', { attributes: ['cache'] })

/** The look alone at whether somebody listens: facts and work are made once. */
function oursReady(): Subject {
  const facts: LookUpFacts = { cache: 'users', key: 5 }
  const work = (): number => lookUp(5)
  return {
    iterate(count) {
      for (let i = 0; i < count; i++) operation.traceSync(facts, work)
    },
  }
}

/** As a hot path has it: facts are made only for listeners. */
function oursGuarded(): Subject {
  return sync((key) =>
    operation.isTraced
      ? operation.traceSync({ cache: 'users', key }, () => lookUp(key))
      : lookUp(key),
  )
}

/** With the objects that a call makes for its facts and its work. */
function oursInFull(): Subject {
  return sync((key) => operation.traceSync({ cache: 'users', key }, () => lookUp(key)))
}

function nodeChannel(): Subject {
  const channel = tracingChannel('bench:look-up')
  return sync((key) => channel.traceSync(() => lookUp(key), { cache: 'users', key }))
}

/** A span around the work, recorded by the SDK and exported nowhere. */
function openTelemetry(): Subject {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const tracer = new TracerProvider().getTracer('bench')
  return sync((key) =>
    tracer.startActiveSpan('look-up', { attributes: { cache: 'users' } }, (span) => {
      const found = lookUp(key)
      span.end()
      return found
    }),
  )
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'core.tracing',
    title: 'An operation that may be traced, without listeners',
    subjects: {
      'dharma operation': oursReady,
      'dharma operation, behind isTraced': oursGuarded,
      'dharma operation, facts made each time': oursInFull,
      'no tracing': bare,
      'node:diagnostics_channel traceSync': nodeChannel,
      'OpenTelemetry span, recorded': openTelemetry,
    },
    bars: [
      { subject: 'dharma operation', atMost: 2 },
      { subject: 'dharma operation, behind isTraced', atMost: 2 },
    ],
  }),
]
