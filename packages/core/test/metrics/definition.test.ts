import { createMetrics } from '@dharma/core/metrics'
import { Counter, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'

const help = 'Some text.'

describe('a metric is refused at definition', () => {
  const metrics = createMetrics()
  const wrong: readonly [rule: string, define: () => unknown, message: RegExp][] = [
    ['capital letters', () => metrics.counter('aB_total', { help }), /aB_total must be snake case/],
    ['a double underscore', () => metrics.gauge('a__b', { help }), /snake case/],
    ['an empty name', () => metrics.gauge('', { help }), /snake case/],
    ['a long name', () => metrics.gauge('a'.repeat(121), { help }), /120 characters/],
    ['a counter without _total', () => metrics.counter('a_hits', { help }), /end it in _total/],
    ['a gauge with _total', () => metrics.gauge('a_total', { help }), /only a counter may/],
    ['milliseconds', () => metrics.gauge('a_milliseconds', { help }), /base units/],
    ['an abbreviated unit', () => metrics.gauge('a_ms_now', { help }), /should be seconds/],
    ['a percentage', () => metrics.gauge('a_percent', { help }), /should be ratio/],
    ['the kind in the name', () => metrics.gauge('a_gauge', { help }), /what kind/],
    ['a reserved suffix', () => metrics.gauge('a_count', { help }), /_count, which is reserved/],
    ['no help', () => metrics.gauge('a', { help: ' ' }), /needs a help text/],
    ['the label le', () => metrics.gauge('a', { help, labels: ['le'] }), /reserved label 'le'/],
    ['a label with __', () => metrics.gauge('a', { help, labels: ['__a'] }), /not snake case/],
    ['a label twice', () => metrics.gauge('a', { help, labels: ['b', 'b'] }), /same label twice/],
    [
      'seven labels',
      () => metrics.gauge('a', { help, labels: 'bcdefgh'.split('') }),
      /6 labels at most/,
    ],
    ['no series', () => metrics.gauge('a', { help, maxSeries: 0 }), /maxSeries must be/],
    [
      'a read with labels',
      () => metrics.gauge('a', { help, labels: ['b'], read: () => 1 }),
      /readFrom/,
    ],
    ['exemplars of a gauge', () => metrics.gauge('a', { help, exemplars: true }), /no exemplars/],
    ['latency in bytes', () => metrics.histogram('a_bytes', { help }), /must end in _seconds/],
    [
      'unknown bounds',
      () => metrics.histogram('a', { help, bounds: 'x' as never }),
      /no bounds named/,
    ],
    ['no bounds', () => metrics.histogram('a', { help, bounds: [] }), /1 to 100 bounds, got 0/],
    ['only the bound 0', () => metrics.histogram('a', { help, bounds: [0] }), /a bound above 0/],
    ['a negative bound', () => metrics.histogram('a', { help, bounds: [-1, 1] }), /got -1/],
    ['falling bounds', () => metrics.histogram('a', { help, bounds: [2, 1] }), /got 1 after 2/],
  ]
  it.each(wrong)('for %s', (_rule, define, message) => {
    expect(define).toThrow(RangeError)
    expect(define).toThrow(message)
    expect(metrics.names()).toEqual([])
  })
})

it('the same name with the same shape is the same metric, in every owner of the registry', () => {
  const registry = new Registry()
  const one = createMetrics({ registry }).counter('a_total', { help, labels: ['b'] })
  const other = createMetrics({ registry }).counter('a_total', { help: 'Else.', labels: ['b'] })
  expect(other).toBe(one)
})

it('the same name with another shape is refused', () => {
  const metrics = createMetrics()
  metrics.histogram('a', { help, labels: ['b'], bounds: [1] })
  const other = () => metrics.gauge('a', { help })
  expect(other).toThrow(/metric a is already defined as a histogram with labels b and 1 bounds/)
})

it('what a name is taken by is said for each kind', () => {
  const metrics = createMetrics()
  metrics.gauge('a', { help })
  const labelled = () => metrics.gauge('a', { help, labels: ['b'] })
  expect(labelled).toThrow(RangeError('metric a is already defined as a gauge without labels'))
})

it('only metrics that were defined here are named', () => {
  const registry = new Registry()
  new Counter({ name: 'own_total', help, registers: [registry] }).inc()
  const metrics = createMetrics({ registry })
  metrics.gauge('a', { help })
  expect(metrics.names()).toEqual(['a'])
  expect(metrics.read('own_total')).toBeUndefined()
})

it('a name that the owner of the registry uses is refused', () => {
  const registry = new Registry()
  new Counter({ name: 'a_total', help, registers: [registry] }).inc()
  const again = () => createMetrics({ registry }).counter('a_total', { help })
  expect(again).toThrow(/already registered by someone else/)
})

it('options out of range are refused', () => {
  expect(() => createMetrics({ prefix: 'Shop' })).toThrow(/prefix must be snake case/)
  expect(() => createMetrics({ maxSeries: 10_001 })).toThrow(
    /maxSeries must be a whole number from 1 to 10000/,
  )
})

it('the prefix stands before every name', () => {
  const counter = createMetrics({ prefix: 'shop_' }).counter('a_total', { help })
  expect(counter.name).toBe('shop_a_total')
})
