import { DharmaError } from '@dharma/core'
import { createHealth } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'

class ReplicaLagError extends DharmaError {
  readonly code = 'DHARMA_REPLICA_LAG'
}

async function reasonOf(thrown: unknown): Promise<string | undefined> {
  const clock = new ManualClock()
  await using health = createHealth({ clock, eventLoop: false })
  const handle = health.register({
    name: 'x',
    kind: 'readiness',
    check: () => Promise.reject(thrown),
  })
  await clock.advance(0)
  return handle.result.reason
}

test('a DharmaError speaks for the error that it caused', async () => {
  const cause = new ReplicaLagError('replica lag is 12 s')
  expect(await reasonOf(new Error('password is hunter2', { cause }))).toBe('replica lag is 12 s')
})

test('causes that go in a circle are followed once', async () => {
  const error = new Error('round')
  error.cause = new Error('about', { cause: error })
  expect(await reasonOf(error)).toBe('round')
})

test('an error without a message is known by its code or its name', async () => {
  const refused = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
  expect(await reasonOf(refused)).toBe('ECONNREFUSED')
  expect(await reasonOf(new RangeError(''))).toBe('RangeError')
})

test('what is thrown and is no error is a text or a type', async () => {
  expect(await reasonOf('gone')).toBe('gone')
  expect(await reasonOf({ password: 'hunter2' })).toBe('a thrown object')
})

test('a reason is one line of 200 characters at most', async () => {
  const reason = await reasonOf(new Error(`first\n\tsecond ${'x'.repeat(500)}`))
  expect(reason).toMatch(/^first second x+…$/)
  expect(reason).toHaveLength(200)
})

test.each([
  ['connect to redis://:hunter2@cache:6379/0 failed', 'connect to redis://***@cache:6379/0 failed'],
  ['postgres://app:hunter2@p@db/orders', 'postgres://***@db/orders'],
  ['mongodb+srv://app:hunter2@a.example?x=1', 'mongodb+srv://***@a.example?x=1'],
  ['login with password=hunter2, user app', 'login with password=***, user app'],
  ['{"token":"hunter2 x","a":1}', '{"token":***,"a":1}'],
  ['Authorization: Bearer hunter2.abc', 'Authorization: Bearer ***'],
])('%s does not show its secret', async (text, shown) => {
  expect(await reasonOf(new Error(text))).toBe(shown)
})

test('no password of a URL is ever shown', async () => {
  const secret = fc.stringMatching(/^canary[\w@:!$*+-]{0,20}$/)
  const scheme = fc.constantFrom('redis', 'postgres', 'amqps', 'https')
  await fc.assert(
    fc.asyncProperty(scheme, fc.string(), secret, async (name, noise, password) => {
      const reason = await reasonOf(new Error(`${noise} ${name}://user:${password}@host/path`))
      expect(reason).not.toContain('canary')
    }),
    { numRuns: 300 },
  )
})
