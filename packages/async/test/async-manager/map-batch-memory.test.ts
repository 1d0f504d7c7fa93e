import { setFlagsFromString } from 'node:v8'
import { setImmediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { mapBatch, mapStream } from '@dharma/async/async-manager'
import { expect, test } from 'vitest'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Each item is 1 kB, so that 100,000 kept ones would be 100 MB. */
async function* blocks(count: number): AsyncGenerator<{ id: number; payload: number[] }> {
  for (let id = 0; id < count; id += 1)
    yield { id, payload: Array.from<number>({ length: 128 }).fill(id) }
}

function heapMb(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / 1e6
}

const turn = async ({ id }: { id: number }): Promise<number> => {
  if (id % 100 === 0) await setImmediate()
  return id
}

test('100,000 promises of an async source pass at a bounded heap', async () => {
  const before = heapMb()
  let highest = 0
  let inProgress = 0
  let mostInProgress = 0
  const results = await mapBatch(
    blocks(100_000),
    async (block) => {
      inProgress += 1
      mostInProgress = Math.max(mostInProgress, inProgress)
      const id = await turn(block)
      if (id % 20_000 === 0) highest = Math.max(highest, heapMb())
      inProgress -= 1
      return id
    },
    { concurrency: 100 },
  )
  expect(results).toHaveLength(100_000)
  expect(results[99_999]).toBe(99_999)
  expect(mostInProgress).toBeLessThanOrEqual(100)
  expect(highest - before).toBeLessThan(16)
}, 30_000)

test('a stream over 100,000 items keeps the heap flat', async () => {
  const before = heapMb()
  let highest = 0
  let sum = 0
  for await (const id of mapStream(blocks(100_000), turn, { concurrency: 100 })) {
    sum += id
    if (id % 20_000 === 0) highest = Math.max(highest, heapMb())
  }
  expect(sum).toBe((99_999 * 100_000) / 2)
  expect(highest - before).toBeLessThan(8)
}, 30_000)

test('100,000 calls at once settle', async () => {
  const items = Array.from({ length: 100_000 }, (_, id) => ({ id }))
  const results = await mapBatch(items, turn, { concurrency: 100_000 })
  expect(results.at(-1)).toBe(99_999)
}, 30_000)
