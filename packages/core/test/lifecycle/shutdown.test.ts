import type { Logger } from '@dharma/core'
import { createHealth } from '@dharma/core/health'
import { createLifecycle, type LifecycleLimits } from '@dharma/core/lifecycle'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'
import { recordingLogger } from './recording-logger.ts'

function start(limits: LifecycleLimits = {}, logger?: Logger) {
  const clock = new ManualClock()
  const health = createHealth({ clock, eventLoop: false })
  const lifecycle = createLifecycle({ clock, health, limits, ...(logger && { logger }) })
  const steps: string[] = []
  const step =
    (name: string, takesMs = 0) =>
    async () => {
      steps.push(name)
      if (takesMs > 0) await clock.sleep(takesMs)
      steps.push(`${name} ended`)
    }
  return { clock, health, lifecycle, steps, step }
}

describe('a shutdown', () => {
  test('goes through its stages in order, clients in reverse order of registration', async () => {
    const { clock, health, lifecycle, steps, step } = start({ waitMs: 3_000 })
    lifecycle.on('flush', 'logs', step('flush'))
    lifecycle.on('close', 'db', step('db', 10))
    lifecycle.on('close', 'cache', step('cache', 10))
    lifecycle.on('finish', 'requests', step('finish', 10))
    lifecycle.on('stopAccepting', 'server', step('stop', 10))
    const stopped = lifecycle.stop('deploy')
    expect(lifecycle.state).toBe('stopping')
    expect(health.report('readiness')).toMatchObject({
      isOk: false,
      reason: 'shutting down: deploy',
    })
    await clock.advance(2_999)
    expect(steps).toEqual([])
    await clock.advance(1_000)
    expect(steps).toEqual([
      'stop',
      'stop ended',
      'finish',
      'finish ended',
      'cache',
      'cache ended',
      'db',
      'db ended',
      'flush',
      'flush ended',
    ])
    expect(await stopped).toMatchObject({
      reason: 'deploy',
      durationMs: 3_040,
      isClean: true,
      failed: [],
      abandoned: [],
      slow: [],
    })
    expect(lifecycle.state).toBe('stopped')
    expect(clock.pendingTimers).toBe(0)
  })

  test('does not wait without health, since no probe can notice', async () => {
    const lifecycle = createLifecycle({ clock: new ManualClock() })
    expect(await lifecycle.stop()).toMatchObject({ durationMs: 0, isClean: true })
  })

  test('abandons a slow stage at its limit, names it, and goes on', async () => {
    const { clock, lifecycle, steps, step } = start({ waitMs: 0, finishMs: 1_000 })
    let seen: AbortSignal | undefined
    lifecycle.on('finish', 'orders', (signal) => {
      seen = signal
      return new Promise(() => {})
    })
    lifecycle.on('finish', 'mails', step('mails', 600))
    lifecycle.on('close', 'db', step('db'))
    const stopped = lifecycle.stop()
    await clock.advance(999)
    expect(steps).toEqual(['mails', 'mails ended'])
    expect(seen?.aborted).toBe(false)
    await clock.advance(1)
    const report = await stopped
    expect(steps).toEqual(['mails', 'mails ended', 'db', 'db ended'])
    expect(seen?.reason).toMatchObject({ code: 'DHARMA_TIMEOUT', operation: 'stage finish' })
    expect(report).toMatchObject({
      isClean: false,
      abandoned: ['finish/orders'],
      slow: ['finish/orders', 'finish/mails'],
      failed: [],
    })
    expect(report.stages.find(({ stage }) => stage === 'finish')).toEqual({
      stage: 'finish',
      limitMs: 1_000,
      durationMs: 1_000,
      hooks: [
        { name: 'orders', outcome: 'abandoned', durationMs: 1_000, isSlow: true },
        { name: 'mails', outcome: 'done', durationMs: 600, isSlow: true },
      ],
    })
  })

  test('is not stopped by what throws, and says why without secrets', async () => {
    const { lifecycle, steps, step } = start({ waitMs: 0 })
    lifecycle.on('stopAccepting', 'server', () => {
      throw new Error('not running')
    })
    lifecycle.on('close', 'db', step('db'))
    lifecycle.on('close', 'cache', () => Promise.reject(new Error('redis://:hunter2@cache gone')))
    const report = await lifecycle.stop()
    expect(steps).toEqual(['db', 'db ended'])
    expect(report).toMatchObject({
      isClean: false,
      failed: ['stopAccepting/server', 'close/cache'],
    })
    expect(JSON.stringify(report)).toContain('redis://***@cache gone')
    expect(JSON.stringify(report)).not.toContain('hunter2')
  })

  test('does not let one slow client keep the others from closing', async () => {
    const { clock, lifecycle, steps, step } = start({ waitMs: 0, closeMs: 3_000 })
    lifecycle.on('close', 'first', step('first'))
    lifecycle.on('close', 'second', step('second'))
    lifecycle.on('close', 'hung', () => new Promise(() => {}))
    const stopped = lifecycle.stop()
    await clock.advance(999)
    expect(steps).toEqual([])
    await clock.advance(1)
    expect(steps).toEqual(['second', 'second ended', 'first', 'first ended'])
    await clock.advance(2_000)
    expect(await stopped).toMatchObject({ abandoned: ['close/hung'], durationMs: 3_000 })
  })

  test('takes no longer than the limit in all, and still begins every stage', async () => {
    const { clock, lifecycle, steps } = start({ waitMs: 500, finishMs: 60_000, totalMs: 2_000 })
    lifecycle.on('finish', 'hung', () => new Promise(() => {}))
    lifecycle.on('close', 'db', () => steps.push('db'))
    lifecycle.on('flush', 'logs', () => steps.push('logs'))
    const stopped = lifecycle.stop()
    await clock.advance(2_000)
    expect(await stopped).toMatchObject({ durationMs: 2_000, abandoned: ['finish/hung'] })
    expect(steps).toEqual(['db', 'logs'])
  })

  test('happens once, however often it is asked for', async () => {
    const { lifecycle, steps, step } = start({ waitMs: 0 })
    lifecycle.on('close', 'db', step('db'))
    const [first, second] = await Promise.all([lifecycle.stop('a'), lifecycle.stop('b')])
    await lifecycle[Symbol.asyncDispose]()
    expect(second).toBe(first)
    expect(first.reason).toBe('a')
    expect(steps).toEqual(['db', 'db ended'])
  })

  test('leaves out hooks that were taken out, and takes none once it has begun', async () => {
    const { lifecycle, steps, step } = start({ waitMs: 0 })
    lifecycle.on('close', 'db', step('db'))[Symbol.dispose]()
    await lifecycle.stop()
    expect(steps).toEqual([])
    expect(() => lifecycle.on('close', 'late', step('late'))).toThrow('lifecycle is closed')
    await expect(lifecycle.start()).rejects.toThrow('lifecycle is closed')
  })

  test('is logged with its report, as a warning if it was not clean', async () => {
    const { logger, lines } = recordingLogger()
    await start({ waitMs: 0 }, logger).lifecycle.stop('deploy')
    expect(lines).toMatchObject([
      { level: 'info', message: 'shutting down', fields: { reason: 'deploy' } },
      { level: 'info', message: 'shut down', fields: { report: { isClean: true } } },
    ])
    lines.length = 0
    const { lifecycle } = start({ waitMs: 0 }, logger)
    lifecycle.on('flush', 'logs', () => Promise.reject(new Error('disk full')))
    await lifecycle.stop()
    expect(lines.at(-1)).toMatchObject({
      level: 'warn',
      fields: { report: { failed: ['flush/logs'] } },
    })
  })

  test.each(['waitMs', 'totalMs', 'closeMs', 'startMs'])('refuses a %s below 0', (name) => {
    expect(() => createLifecycle({ limits: { [name]: -1 } })).toThrow(
      `limits.${name} must be at least 0, got -1`,
    )
  })
})

describe('a component', () => {
  test('is disposed in the stage close, by whichever dispose it has', async () => {
    const { lifecycle, steps } = start({ waitMs: 0 })
    const pool = { [Symbol.asyncDispose]: async () => void steps.push('pool') }
    expect(lifecycle.use(pool)).toBe(pool)
    lifecycle.use({ [Symbol.dispose]: () => void steps.push('timer') }, { name: 'timer' })
    const report = await lifecycle.stop()
    expect(steps).toEqual(['timer', 'pool'])
    expect(report.stages.at(-2)?.hooks.map(({ name }) => name)).toEqual(['timer', 'Object'])
  })

  test('that can stop accepting and finish does so in these stages', async () => {
    const { lifecycle, steps } = start({ waitMs: 0 })
    class Consumer {
      stopAccepting = () => void steps.push('stop')
      finish = async () => void steps.push('finish')
      async [Symbol.asyncDispose]() {
        steps.push('close')
      }
    }
    lifecycle.use(new Consumer())
    lifecycle.on('stopAccepting', 'other', () => steps.push('other stop'))
    const report = await lifecycle.stop()
    expect(steps).toEqual(['stop', 'other stop', 'finish', 'close'])
    expect(report.stages.at(-2)?.hooks[0]?.name).toBe('Consumer')
  })
})
