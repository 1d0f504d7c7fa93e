import { ClosedError } from '@dharma/core'
import { createHealth } from '@dharma/core/health'
import { createLifecycle, StartError } from '@dharma/core/lifecycle'
import { ManualClock } from '@dharma/core/testing'
import { expect, test } from 'vitest'

function start() {
  const clock = new ManualClock()
  const health = createHealth({ clock, eventLoop: false })
  const lifecycle = createLifecycle({ clock, health })
  const steps: string[] = []
  const onStart = (name: string, takesMs = 0) =>
    lifecycle.onStart(
      name,
      async (signal) => {
        if (takesMs > 0) await clock.sleep(takesMs, signal)
        steps.push(`start ${name}`)
      },
      { stop: () => steps.push(`stop ${name}`) },
    )
  return { clock, health, lifecycle, steps, onStart }
}

test('start hooks run in order, one after another, and once', async () => {
  const { clock, lifecycle, steps, onStart } = start()
  onStart('db', 100)
  onStart('cache')
  const started = lifecycle.start()
  expect(lifecycle.start()).toBe(started)
  expect(lifecycle.state).toBe('starting')
  await clock.advance(99)
  expect(steps).toEqual([])
  await clock.advance(1)
  await started
  expect(lifecycle.state).toBe('started')
  expect(steps).toEqual(['start db', 'start cache'])
  expect(() => onStart('late')).toThrow(ClosedError)
})

test('a process is not started and not ready before its start hooks have run', async () => {
  const { clock, health, lifecycle, onStart } = start()
  onStart('db', 5_000)
  const started = lifecycle.start()
  await clock.advance(2_000)
  expect(health.report('startup')).toMatchObject({
    isOk: false,
    reason: 'lifecycle: starting: db is running',
  })
  expect(health.report('readiness').isOk).toBe(false)
  await clock.advance(3_000)
  await started
  expect(health.report('startup').isOk).toBe(true)
  expect(health.report('readiness').isOk).toBe(true)
})

test('what had started is undone in reverse order when a start hook fails', async () => {
  const { lifecycle, steps, onStart } = start()
  onStart('db')
  lifecycle.use({ [Symbol.dispose]: () => void steps.push('dispose pool') })
  onStart('cache')
  const stop = () => steps.push('stop broken')
  const cause = new Error('no redis://:hunter2@cache')
  lifecycle.onStart('broken', () => Promise.reject(cause), { stop })
  onStart('never')
  const error = await lifecycle.start().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StartError)
  expect(error).toMatchObject({
    code: 'DHARMA_START_FAILED',
    hook: 'broken',
    message: 'start of broken failed: no redis://***@cache',
    cause,
    rollback: { isClean: true, reason: 'start of broken failed' },
  })
  expect(steps).toEqual(['start db', 'start cache', 'stop cache', 'dispose pool', 'stop db'])
  expect(lifecycle.state).toBe('stopped')
})

test('a start hook that takes too long is told, given up and undone', async () => {
  const { clock, lifecycle, steps } = start()
  let seen: AbortSignal | undefined
  lifecycle.onStart(
    'hung',
    (signal) => {
      seen = signal
      return new Promise(() => {})
    },
    { timeoutMs: 1_000, stop: () => steps.push('stop hung') },
  )
  const failed = lifecycle.start().catch((error: unknown) => error)
  await clock.advance(1_000)
  expect(await failed).toMatchObject({
    message: 'start of hung failed: start of hung did not end within 1000 ms',
  })
  expect(seen?.aborted).toBe(true)
  expect(steps).toEqual(['stop hung'])
})

test('a shutdown in the middle of a start interrupts it and undoes what was begun', async () => {
  const { clock, lifecycle, steps, onStart } = start()
  onStart('db')
  onStart('slow', 10_000)
  onStart('never')
  const failed = lifecycle.start().catch((error: unknown) => error)
  await clock.advance(100)
  const stopped = lifecycle.stop('SIGTERM')
  expect(await failed).toBeInstanceOf(ClosedError)
  await clock.advance(5_000)
  expect(await stopped).toMatchObject({ reason: 'SIGTERM', isClean: true })
  expect(steps).toEqual(['start db', 'stop slow', 'stop db'])
})

test('a shutdown undoes no start that did not happen', async () => {
  const { clock, lifecycle, steps, onStart } = start()
  onStart('db')
  const stopped = lifecycle.stop()
  await clock.advance(5_000)
  await stopped
  expect(steps).toEqual([])
})

test('a limit below 0 is refused', () => {
  const { lifecycle } = start()
  expect(() => lifecycle.onStart('db', () => {}, { timeoutMs: -1 })).toThrow(
    'timeoutMs must be at least 0, got -1',
  )
})
