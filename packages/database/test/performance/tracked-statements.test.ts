import { expect, it } from 'vitest'
import { mergeTallies, QueryTally } from '../../src/performance/query-tally.ts'
import { sampledValue } from '../../src/performance/redact-value.ts'
import { TrackedStatements } from '../../src/performance/tracked-statements.ts'

it('counts texts that differ in constants together, before the parser has read them and after', async () => {
  const statements = new TrackedStatements(10, Math.random)
  const before = statements.ofText('select 1 from t where a = 5')
  before.value.latency.observe(1)
  expect(statements.ofText('select 1 from t where a = 6')).toBe(before)
  statements.ofText('select 1  from t where a = $1').value.latency.observe(2)
  await statements.settled()
  const [only, ...others] = statements.top()
  expect(others).toEqual([])
  expect(only?.value.latency.count).toBe(2)
  const text = 'select 1 from t where a = 7'
  expect(statements.ofText(text)).toBe(statements.ofText(text))
  expect(statements.get(only?.key ?? '')).toBe(only?.value)
})

it('keeps no long text, and no more texts than it may', async () => {
  const statements = new TrackedStatements(5, Math.random)
  const long = `select ${'a, '.repeat(5_000)} b`
  expect(statements.ofText(long).key).toHaveLength(8_192)
  await statements.settled()
  const shared = 'select 1 from t where a = 0'
  statements.ofText(shared)
  await statements.settled()
  for (let a = 0; a < 4_100; a++) statements.ofText(`select 1 from t where a = ${a}`)
  expect(statements.top().length).toBeLessThanOrEqual(5)
  for (let n = 0; n < 1_100; n++) statements.ofText(`select a${n} from t`)
  expect(statements.top()).toHaveLength(5)
  // What others have pushed out is found anew.
  expect(statements.ofText(shared).value.isCurrent).toBe(true)
})

it('what was slow or failed under two names has been so since the earlier time', () => {
  const [one, other] = [new QueryTally('a', Math.random), new QueryTally('b', Math.random)]
  other.slowSinceMs = 5
  mergeTallies(one, other)
  expect(one).toMatchObject({ slowSinceMs: 5, failingSinceMs: undefined })
  other.slowSinceMs = 3
  other.failingSinceMs = 4
  if (other.samples.wants()) other.samples.put([1])
  mergeTallies(one, other)
  expect(one).toMatchObject({ slowSinceMs: 3, failingSinceMs: 4 })
  expect(one.samples.items).toEqual([[1]])
})

it('samples keep what an advisor needs, and stay small', () => {
  const date = new Date(0)
  expect(
    ['a', 'x'.repeat(300), new Uint8Array(3), [1, { a: 1 }], date, null, 5].map(sampledValue),
  ).toEqual(['a', `${'x'.repeat(255)}…`, 'bytes(3)', [1, 'object'], date, null, 5])
})
