import { createHealth, type HealthChange } from '@dharma/core/health'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, test } from 'vitest'

function start() {
  const clock = new ManualClock()
  const health = createHealth({ clock, eventLoop: false })
  return { clock, health }
}

describe('health', () => {
  test('is as bad as its worst critical check', async () => {
    const { clock, health } = start()
    const register = (name: string, check: () => unknown, isCritical = true) =>
      health.register({ name, kind: 'readiness', check, isCritical })
    register('fine', () => true)
    await clock.advance(0)
    expect(health.report('readiness').status).toBe('up')
    register('optional', () => false, false)
    await clock.advance(0)
    expect(health.report('readiness')).toMatchObject({
      status: 'degraded',
      isOk: true,
      reason: 'optional: the check returned false',
    })
    register('needed', () => false)
    await clock.advance(0)
    expect(health.report('readiness')).toMatchObject({ status: 'down', isOk: false })
  })

  test('keeps kinds apart', async () => {
    const { clock, health } = start()
    health.register({ name: 'db', kind: 'readiness', check: () => false })
    await clock.advance(0)
    expect(health.report('readiness').isOk).toBe(false)
    expect(health.report('liveness')).toMatchObject({ status: 'up', checks: [] })
    expect(health.report('startup').isOk).toBe(true)
  })

  test('is alive while its liveness checks have not run', () => {
    const { health } = start()
    health.register({ name: 'x', kind: 'liveness', check: () => new Promise(() => {}) })
    expect(health.report('liveness')).toMatchObject({ status: 'pending', isOk: true })
  })

  test('is not ready before each startup check has passed, which is then not run again', async () => {
    const { clock, health } = start()
    let isWarm = false
    let runs = 0
    health.register({
      name: 'warm-up',
      kind: 'startup',
      everyMs: 1_000,
      check() {
        runs++
        return isWarm
      },
    })
    await clock.advance(1_000)
    expect(health.report('startup').isOk).toBe(false)
    expect(health.report('readiness')).toMatchObject({
      status: 'down',
      reason: 'warm-up: the check returned false',
    })
    isWarm = true
    await clock.advance(1_000)
    isWarm = false
    await clock.advance(60_000)
    expect(health.report('startup').isOk).toBe(true)
    expect(health.report('readiness')).toMatchObject({ status: 'up', checks: [] })
    expect(runs).toBe(3)
    expect(clock.pendingTimers).toBe(0)
  })

  test('tells of each change of a check and of a kind', async () => {
    const { clock, health } = start()
    const changes: string[] = []
    const listening = health.onChange((change) => changes.push(textOf(change)))
    let isBroken = false
    health.register({
      name: 'db',
      kind: 'readiness',
      everyMs: 1_000,
      check: () => !isBroken,
    })
    await clock.advance(2_000)
    isBroken = true
    await clock.advance(2_000)
    expect(changes).toEqual([
      'readiness: up to pending',
      'db: pending to up',
      'readiness: pending to up',
      'db: up to down',
      'readiness: up to down',
    ])
    listening[Symbol.dispose]()
    isBroken = false
    await clock.advance(2_000)
    expect(changes).toHaveLength(5)
  })

  test('turns a throwing listener into a warning and tells the others', async () => {
    const { clock, health } = start()
    const warned = new Promise<Error>((resolve) => {
      process.once('warning', resolve)
    })
    const told: HealthChange[] = []
    health.onChange(() => raise(new Error('no postgres://app:hunter2@db')))
    health.onChange((change) => told.push(change))
    health.drain()
    await clock.advance(0)
    expect(told).toEqual([{ type: 'kind', kind: 'readiness', from: 'up', to: 'down' }])
    expect((await warned).message).toBe('a listener of health changes threw: no postgres://***@db')
  })

  test('that drains is not ready whatever its checks say, and stays alive', async () => {
    const { clock, health } = start()
    health.register({ name: 'db', kind: 'readiness', check: () => true })
    await clock.advance(0)
    health.drain('deploy')
    await clock.advance(60_000)
    expect(health.report('readiness')).toMatchObject({
      status: 'down',
      isOk: false,
      reason: 'deploy',
    })
    expect(health.report('liveness').isOk).toBe(true)
  })

  test('refuses two checks of a kind with one name', () => {
    const { health } = start()
    health.register({ name: 'db', kind: 'readiness', check: () => true })
    health.register({ name: 'db', kind: 'startup', check: () => true })
    expect(() => health.register({ name: 'db', kind: 'startup', check: () => true })).toThrow(
      'name of a startup check must be unique, got db again',
    )
  })

  test('that is closed has no timers, is not ready, and takes no checks', async () => {
    const clock = new ManualClock()
    const health = createHealth({ clock })
    health.register({ name: 'db', kind: 'readiness', check: () => new Promise(() => {}) })
    await health[Symbol.asyncDispose]()
    await health.close()
    await clock.advance(0)
    expect(clock.pendingTimers).toBe(0)
    expect(health.report('readiness')).toMatchObject({ isOk: false, reason: 'closed' })
    expect(() => health.register({ name: 'x', kind: 'liveness', check: () => true })).toThrow(
      'health is closed',
    )
  })
})

function textOf(change: HealthChange): string {
  const what = change.type === 'check' ? change.result.name : change.kind
  return `${what}: ${change.from} to ${change.to}`
}

function raise(error: Error): never {
  throw error
}
