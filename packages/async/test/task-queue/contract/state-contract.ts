import { expect, it } from 'vitest'
import type { QueueContract } from './sandbox.ts'

/** What workflows, schedules and limits are built on; the same on every engine. */
export function itKeepsState(make: () => QueueContract): void {
  it('stores a value only over the version that was read', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    const key = `${scope}.versioned`
    expect(await engine.state.get(key)).toBeUndefined()
    expect(await engine.state.put(key, 'a', { ifVersion: 0 })).toBe(true)
    expect(await engine.state.put(key, 'b', { ifVersion: 0 })).toBe(false)
    expect(await engine.state.get(key)).toEqual({ value: 'a', version: 1 })
    const puts = ['x', 'y', 'z'].map((value) => engine.state.put(key, value, { ifVersion: 1 }))
    expect((await Promise.all(puts)).filter(Boolean)).toHaveLength(1)
    expect(await engine.state.put(key, 'c')).toBe(true)
    expect(await engine.state.get(key)).toEqual({ value: 'c', version: 3 })
    await engine.state.remove(key)
    expect(await engine.state.get(key)).toBeUndefined()
  })

  it('keeps the first value of each field of a map and counts them', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    const map = `${scope}.map`
    const sizes = await Promise.all(
      ['a', 'b', 'c'].map((field) => engine.state.record(map, { [field]: field })),
    )
    expect(Math.max(...sizes)).toBe(3)
    expect(await engine.state.record(map, { a: 'other', d: 'd' })).toBe(4)
    expect(await engine.state.fields(map)).toEqual({ a: 'a', b: 'b', c: 'c', d: 'd' })
    await engine.state.forget(map, 'b')
    expect(await engine.state.record(map, {})).toBe(3)
    const many = Object.fromEntries(Array.from({ length: 2_500 }, (_, index) => [`f${index}`, '']))
    expect(await engine.state.record(map, many)).toBe(2_503)
    await engine.state.remove(map)
    expect(await engine.state.fields(map)).toEqual({})
  })

  it('forgets what has outlived its time', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    await engine.state.put(`${scope}.short`, 'x', { ttlMs: 20 })
    await engine.state.record(`${scope}.short`, { a: '' }, 20)
    await expect
      .poll(async () => [
        await engine.state.get(`${scope}.short`),
        await engine.state.fields(`${scope}.short`),
      ])
      .toEqual([undefined, {}])
  })

  it('grants uses up to the limit and says when to come again', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    const limit = { max: 4, perMs: 60_000 }
    expect(await engine.state.take(`${scope}.rate`, limit, 3)).toEqual({
      granted: 3,
      retryAfterMs: 0,
    })
    const { granted, retryAfterMs } = await engine.state.take(`${scope}.rate`, limit, 3)
    expect(granted).toBe(1)
    expect(retryAfterMs).toBeGreaterThan(14_000)
    expect(retryAfterMs).toBeLessThanOrEqual(15_000)
  })

  it('tells all who listen to a topic, until they stop', async () => {
    const { createEngine, scope } = make()
    await using engine = createEngine()
    const heard = Promise.withResolvers<string>()
    const texts: string[] = []
    const first = await engine.signals.subscribe(scope, (text) => texts.push(text))
    first[Symbol.dispose]()
    using resources = new DisposableStack()
    resources.use(await engine.signals.subscribe(scope, heard.resolve))
    await engine.signals.publish(scope, 'hello')
    expect(await heard.promise).toBe('hello')
    expect(texts).toEqual([])
  })
}
