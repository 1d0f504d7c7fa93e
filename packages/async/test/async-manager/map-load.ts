import { mapBatch, mapStream } from '@dharma/async/async-manager'
import { ManualClock } from '@dharma/core/testing'
import fc from 'fast-check'
import { expect } from 'vitest'

/** What is mapped, how, and when it is aborted. */
export interface Load {
  readonly delaysMs: readonly number[]
  readonly failing: ReadonlySet<number>
  readonly concurrency: number
  readonly batchSize: number | undefined
  readonly ordered: boolean
  readonly isAsync: boolean
  readonly abortAtMs: number | undefined
}

export const loads: fc.Arbitrary<Load> = fc.record({
  delaysMs: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 40 }),
  failing: fc.uniqueArray(fc.nat(39), { maxLength: 4 }).map((indexes) => new Set(indexes)),
  concurrency: fc.integer({ min: 1, max: 8 }),
  batchSize: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  ordered: fc.boolean(),
  isAsync: fc.boolean(),
  abortAtMs: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
})

/** Runs a load on a clock of its own and notes what happened. */
async function observe(
  load: Load,
  errors: 'throw' | 'collect',
  form: 'array' | 'stream',
): Promise<{
  result: PromiseSettledResult<unknown[]>
  begun: number[]
  most: number
  late: number
}> {
  const clock = new ManualClock()
  const controller = new AbortController()
  const items = load.delaysMs.map((_, index) => index)
  const begun: number[] = []
  let calls = 0
  let most = 0
  let late = 0
  const fn = async (batch: readonly number[]): Promise<number[]> => {
    begun.push(...batch)
    calls += 1
    most = Math.max(most, calls)
    if (controller.signal.aborted) late += 1
    const waits = batch.map((index) => clock.sleep(load.delaysMs[index] ?? 0))
    await Promise.all(waits)
    calls -= 1
    for (const index of batch) if (load.failing.has(index)) throw new Error(`item ${index}`)
    return batch.map((index) => index * 10)
  }
  const source = load.isAsync ? delayed(items, clock) : items
  const { concurrency, ordered, batchSize } = load
  const options = { concurrency, ordered, signal: controller.signal, batchSize: batchSize ?? 1 }
  const run = async (): Promise<unknown[]> => {
    if (form === 'array' && errors === 'throw') return mapBatch(source, fn, options)
    if (form === 'array') return mapBatch(source, fn, { ...options, errors: 'collect' })
    if (errors === 'throw') return Array.fromAsync(mapStream(source, fn, options))
    return Array.fromAsync(mapStream(source, fn, { ...options, errors: 'collect' }))
  }
  const settled = Promise.allSettled([run()])
  if (load.abortAtMs !== undefined) {
    await clock.advance(load.abortAtMs)
    controller.abort(new Error('aborted'))
  }
  await clock.advance(10_000)
  const [result] = await settled
  return { result, begun, most, late }
}

async function* delayed(items: readonly number[], clock: ManualClock): AsyncGenerator<number> {
  for (const item of items) {
    if (item % 3 === 0) await clock.sleep(1)
    yield item
  }
}

/** Errors are collected: every item has its outcome, or the run was aborted. */
export async function checkCollected(load: Load, form: 'array' | 'stream'): Promise<void> {
  const { result, begun, most, late } = await observe(load, 'collect', form)
  const all = load.delaysMs.map((_, index) => index)
  expect(most).toBeLessThanOrEqual(load.concurrency)
  expect(late).toBe(0)
  expect(new Set(begun).size).toBe(begun.length)
  if (result.status === 'rejected') {
    expect(load.abortAtMs).toBeDefined()
    expect(result.reason).toEqual(new Error('aborted'))
    return
  }
  expect(begun).toEqual(all)
  const size = load.batchSize ?? 1
  const expected = all.map((index) => {
    const start = Math.floor(index / size) * size
    const inBatch = all.slice(start, start + size)
    const reason = inBatch.find((other) => load.failing.has(other))
    if (reason === undefined) return { status: 'fulfilled', value: index * 10, index }
    return { status: 'rejected', reason: new Error(`item ${reason}`), index }
  })
  const got = result.value as { index: number }[]
  expect(load.ordered ? got : got.toSorted((a, b) => a.index - b.index)).toEqual(expected)
}

/** The first error ends the run. */
export async function checkThrown(load: Load, form: 'array' | 'stream'): Promise<void> {
  const { result, begun, most, late } = await observe(load, 'throw', form)
  const all = load.delaysMs.map((_, index) => index)
  expect(most).toBeLessThanOrEqual(load.concurrency)
  expect(late).toBe(0)
  expect(begun).toEqual(all.slice(0, begun.length))
  if (result.status === 'fulfilled') {
    expect(all.some((index) => load.failing.has(index))).toBe(false)
    const sorted = (result.value as number[]).toSorted((a, b) => a - b)
    expect(sorted).toEqual(all.map((index) => index * 10))
    expect(load.ordered ? result.value : sorted).toEqual(sorted)
    return
  }
  const { message } = result.reason as Error
  const allowed = all.filter((index) => load.failing.has(index)).map((index) => `item ${index}`)
  if (load.abortAtMs !== undefined) allowed.push('aborted')
  expect(allowed).toContain(message)
}
