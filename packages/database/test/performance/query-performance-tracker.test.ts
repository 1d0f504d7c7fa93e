import { compareWithBaseline, QueryPerformanceTracker } from '@dharma/database/performance'
import { ManualClock } from '@dharma/core/testing'
import { expect, it } from 'vitest'

it('counts operations of MongoDB by shape, in bounded memory', () => {
  const tracker = new QueryPerformanceTracker({ maxQueries: 2, slowMs: 100 })
  for (const name of ['a', 'b']) {
    tracker.recordMongo('find', 'users', { name }, { elapsedMs: 10, documents: 3 })
  }
  tracker.recordMongo('find', 'posts', {}, { elapsedMs: 200, error: new Error('x') })
  tracker.recordMongo('find', 'likes', {}, { elapsedMs: 1 })
  const { queries, slow } = tracker.report()
  expect(queries).toHaveLength(2)
  expect(queries[0]).toMatchObject({
    fingerprint: 'find posts {}',
    database: 'mongodb',
    errors: 1,
    count: 1,
  })
  expect(queries[1]).toMatchObject({ fingerprint: 'find likes {}', missedMs: 20 })
  expect(slow).toMatchObject([{ fingerprint: 'find posts {}', elapsedMs: 200, parameters: [] }])
})

it.each([
  [{ maxQueries: 0 }, 'maxQueries must be from 1 to 100000, got 0'],
  [{ slowMs: 0 }, 'slowMs must be from 5e-324 to Infinity, got 0'],
  [{ repeatedFrom: 1 }, 'repeatedFrom must be from 2 to Infinity, got 1'],
  [{ explainEveryMs: -1 }, 'explainEveryMs must be from 0 to Infinity, got -1'],
])('refuses %o', (options, message) => {
  expect(() => new QueryPerformanceTracker(options)).toThrow(message)
})

it('says what is slow, why, since when, and what to do, the costliest first', async () => {
  const clock = new ManualClock({ startMs: 1_000 })
  const tracker = new QueryPerformanceTracker({ slowMs: 100, repeatedFrom: 3, clock })
  const find = (collection: string, elapsedMs: number, error?: Error): void =>
    tracker.recordMongo('find', collection, {}, { elapsedMs, documents: 4, error })
  for (let run = 0; run < 50; run++) find('posts', 5)
  const baseline = tracker.baseline()
  await clock.advance(1_000)
  find('likes', 300)
  await clock.advance(1_000)
  find('likes', 100)
  for (let run = 0; run < 5; run++) find('tags', 1, new Error('no'))
  await tracker.request('GET /posts', async () => {
    for (let run = 0; run < 4; run++) find('users', 2)
  })
  for (let run = 0; run < 100; run++) find('posts', 50)
  const { problems } = tracker.report({ baseline, minCount: 20 })
  expect(problems.map(({ kind, statement, sinceMs }) => [kind, statement, sinceMs])).toEqual([
    ['slower', 'find posts {}', 1_000],
    ['slow', 'find likes {}', 2_000],
    ['repeated', 'find users {}', 3_000],
    ['failing', 'find tags {}', 3_000],
  ])
  expect(problems.map(({ why }) => why)).toEqual([
    expect.stringMatching(/^it takes 10\.\d times as long: 5\.00 ms on average became 35 ms/),
    expect.stringMatching(/^2 of 2 calls were slow: .*the longest 300 ms, with 4 rows each$/),
    'GET /posts sends it up to 4 times a request, in 1 requests',
    '5 of 5 calls failed',
  ])
  expect(problems.every(({ remedy }) => remedy.length > 20)).toBe(true)
})

it('counts the requests of one name that repeat a query together, whatever their listener does', async () => {
  const errors: unknown[] = []
  const tracker = new QueryPerformanceTracker({
    repeatedFrom: 2,
    onRepeated: () => {
      throw new Error('of the listener')
    },
    onError: (error) => errors.push(error),
  })
  const request = (times: number): Promise<void> =>
    tracker.request('GET /posts', async () => {
      for (let run = 0; run < times; run++) {
        tracker.recordMongo('find', 'users', {}, { elapsedMs: 1 })
      }
    })
  for (const times of [1, 5, 3]) await request(times)
  expect(tracker.report().repeated).toMatchObject([{ count: 5, requests: 2 }])
  expect(errors).toEqual([new Error('of the listener'), new Error('of the listener')])
  for (let index = 0; index < 250; index++) {
    await tracker.request(`GET /${index}`, async () => {
      for (let run = 0; run < 2; run++) {
        tracker.recordMongo('find', 'users', {}, { elapsedMs: 1 })
      }
    })
  }
  expect(tracker.report().repeated).toHaveLength(200)
})

it('says that a plan is another one than at the time of the baseline', () => {
  const tracker = new QueryPerformanceTracker()
  for (let run = 0; run < 5; run++) tracker.recordMongo('find', 'a', {}, { elapsedMs: 1 })
  const { queries, ...rest } = tracker.baseline()
  const withPlan = (planHash: string) => ({
    ...rest,
    queries: queries.map((query) => ({ ...query, planHash })),
  })
  expect(tracker.report({ baseline: withPlan('x') }).problems).toEqual([])
  expect(compareWithBaseline(withPlan('x'), withPlan('y'))).toMatchObject([{ kind: 'plan' }])
})
