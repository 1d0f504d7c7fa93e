import { createOperation, onOperation } from '@dharma/core/tracing'
import { expect, it } from 'vitest'

interface Facts extends Record<string, unknown> {
  readonly cache: string
  outcome?: string
}

it('without listeners the work is run as it is', async () => {
  const operation = createOperation<Facts>('test:operation:bare', { attributes: ['cache'] })
  expect(operation.isTraced).toBe(false)
  expect(operation.traceSync({ cache: 'users' }, ({ cache }) => cache)).toBe('users')
  expect(await operation.trace({ cache: 'users' }, async ({ cache }) => cache)).toBe('users')
})

it('listeners see start and end, with the facts and the result', async () => {
  const operation = createOperation<Facts>('test:operation:seen', { attributes: ['cache'] })
  const seen: unknown[] = []
  const handlers = {
    start: ({ cache }: Facts) => seen.push(['start', cache]),
    end: () => seen.push(['end']),
    asyncStart: () => seen.push(['asyncStart']),
    asyncEnd: (facts: object) => seen.push(['asyncEnd', { ...facts }]),
    error: () => seen.push(['error']),
  }
  operation.channel.subscribe(handlers)
  expect(operation.isTraced).toBe(true)
  await operation.trace({ cache: 'users' }, async (facts) => {
    facts.outcome = 'hit'
    return 1
  })
  expect(seen).toEqual([
    ['start', 'users'],
    ['end'],
    ['asyncStart'],
    ['asyncEnd', { cache: 'users', outcome: 'hit', result: 1 }],
  ])
  operation.channel.unsubscribe(handlers)
  expect(operation.isTraced).toBe(false)
})

it('the same name is the same operation, and another shape is refused', () => {
  const define = (attributes: 'cache'[]) =>
    createOperation<Facts>('test:operation:same', { attributes })
  expect(define(['cache'])).toBe(define(['cache']))
  expect(() => define([])).toThrow(/'test:operation:same' is already defined/)
})

it('names of another form and reserved attributes are refused', () => {
  expect(() => createOperation('cache:load', { attributes: [] })).toThrow(
    /owner:component:operation/,
  )
  const reserved = () => createOperation('test:operation:bad', { attributes: ['error'] })
  expect(reserved).toThrow(/no attribute may be named 'error'/)
})

it('operations are told of until the handle is disposed', () => {
  const names: string[] = []
  const handle = onOperation(({ name }) => names.push(name))
  createOperation('test:operation:told', { attributes: [] })
  handle[Symbol.dispose]()
  createOperation('test:operation:untold', { attributes: [] })
  expect(names).toContain('test:operation:told')
  expect(names).not.toContain('test:operation:untold')
})
