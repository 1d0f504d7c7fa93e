import {
  compareWithBaseline,
  parseBaseline,
  redactValue,
  type PerformanceBaseline,
} from '@dharma/database/performance'
import { expect, it } from 'vitest'

const query = {
  fingerprint: 'f',
  statement: 'select $1',
  count: 100,
  meanMs: 10,
  p50Ms: 9,
  p95Ms: 20,
  planHash: 'a',
}
const of = (...queries: (typeof query)[]): PerformanceBaseline => ({
  format: 'dharma-performance-baseline',
  version: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  queries,
})

it('tells what became slower and what changed its plan, the worst first', () => {
  const now = of(
    { ...query, meanMs: 18 },
    { ...query, fingerprint: 'g', p95Ms: 90, planHash: 'b' },
    { ...query, fingerprint: 'new' },
  )
  const found = compareWithBaseline(of(query, { ...query, fingerprint: 'g' }), now)
  expect(found.map(({ fingerprint, kind, ratio }) => [fingerprint, kind, ratio])).toEqual([
    ['g', 'latency', 4.5],
    ['g', 'plan', 4.5],
    ['f', 'latency', 1.8],
  ])
})

it('says nothing of what is rare, little, or the same', () => {
  expect(compareWithBaseline(of(query), of(query))).toEqual([])
  expect(compareWithBaseline(of(query), of({ ...query, meanMs: 90, count: 5 }))).toEqual([])
  const quick = { ...query, meanMs: 0.1, p95Ms: 0.2 }
  expect(compareWithBaseline(of(quick), of({ ...quick, meanMs: 0.4 }))).toEqual([])
  expect(compareWithBaseline(of({ ...query, meanMs: 0 }), of(query))).toEqual([])
  expect(() => compareWithBaseline(of(), of(), { ratio: 1 })).toThrow(
    'ratio must be above 1, got 1',
  )
})

it('reads what was saved, and refuses anything else', () => {
  expect(parseBaseline(JSON.stringify(of(query)))).toEqual(of(query))
  expect(() => parseBaseline('[]')).toThrow('this is no performance baseline')
  expect(() => parseBaseline(JSON.stringify({ ...of(), version: 2 }))).toThrow(
    'version of the baseline must be 1, got 2',
  )
  expect(() => parseBaseline(JSON.stringify({ ...of(), queries: [1] }))).toThrow(
    'the performance baseline is damaged',
  )
  expect(() =>
    parseBaseline(JSON.stringify({ ...of(), queries: [{ ...query, count: 'x' }] })),
  ).toThrow('damaged')
})

it('of a value, only type and size are shown', () => {
  const values = [
    'secret',
    5,
    true,
    null,
    undefined,
    new Date(),
    new Uint8Array(3),
    [1, 2],
    { a: 1 },
  ]
  expect(values.map(redactValue)).toEqual([
    'text(6)',
    'number',
    'boolean',
    'null',
    'null',
    'date',
    'bytes(3)',
    'array(2)',
    'object',
  ])
})
