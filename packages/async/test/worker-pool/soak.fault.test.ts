/** Many faults among innocent tasks, and many tasks at a flat heap; `DHARMA_SOAK=1` for the full counts. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { WorkerPool } from '@dharma/async/worker-pool'
import { describe, expect, it } from 'vitest'
import { kinds, openPool, type Work } from './fixtures/open-pool.ts'

const isSoak = process.env['DHARMA_SOAK'] === '1'
const timeout = isSoak ? 1_800_000 : 120_000
const HEAP_EVERY = 40

/** One fault of each kind, in turn. */
function inject(pool: WorkerPool<Work>, index: number): Promise<unknown> {
  if (index % HEAP_EVERY === 0) return pool.run('exhaustHeap', [])
  switch (index % 8) {
    case 0:
      return pool.run('exit', [index % 3])
    case 1:
      return pool.run('hang', [], { timeoutMs: 5 })
    case 2:
      return pool.run('throwLate', ['late'])
    case 3:
      return pool.run('rejectLate', ['late'])
    case 4:
      return pool.run('breakChannel', [])
    case 5:
      return pool.run('returnFunction', [])
    case 6:
      return pool.run('throwRich', [])
    default:
      return pool.run('throwBeside', ['beside'])
  }
}

describe.each(kinds)('a pool of kind %s', { timeout }, (kind) => {
  const faults = isSoak ? 10_000 : kind === 'thread' ? 200 : 80

  it(`loses no innocent task among ${faults} faults, and has its size again`, async () => {
    const pool = openPool(kind, { min: 2, unresponsiveMs: 10, resourceLimits: { maxHeapMb: 32 } })
    let settled = 0
    let innocent = 0
    let wrong = 0
    const injectAll = async (from: number): Promise<void> => {
      for (let index = from; index < faults; index += 4) {
        const fault = inject(pool, index).catch(() => undefined)
        const others = Array.from({ length: 8 }, (_, other) => pool.run('add', [index, other]))
        for (const [other, task] of others.entries()) {
          innocent += 1
          if ((await task) !== index + other) wrong += 1
        }
        await fault
        settled += 1
      }
    }
    await Promise.all([0, 1, 2, 3].map(injectAll))
    expect({ settled, innocent, wrong }).toEqual({
      settled: faults,
      innocent: faults * 8,
      wrong: 0,
    })
    await expect.poll(() => pool.size, { timeout: 5000 }).toBe(2)
    const { outcomes, workersStarted, workersEnded } = pool.stats()
    expect(Object.values(outcomes).reduce((sum, count) => sum + count)).toBe(faults * 9)
    expect(workersEnded).toBeGreaterThan(faults / 4)
    await pool.close()
    expect(pool.stats().workersEnded).toBe(workersStarted)
  })
})

it('runs a great many tasks at a flat heap', { timeout }, async () => {
  const tasks = isSoak ? 1_000_000 : 50_000
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await using pool = openPool('thread', { taskTimeoutMs: 60_000 })
  const controller = new AbortController()
  const run = async (count: number): Promise<void> => {
    const one = async (): Promise<void> => {
      for (let index = 0; index < count / 64; index += 1) {
        await pool.run('add', [index, 1], { signal: controller.signal })
      }
    }
    await Promise.all(Array.from({ length: 64 }, one))
  }
  await run(tasks / 5)
  collect()
  const before = process.memoryUsage().heapUsed
  await run(tasks)
  collect()
  const grownBytes = process.memoryUsage().heapUsed - before
  expect(grownBytes).toBeLessThan(2_000_000)
  expect(pool.load()).toMatchObject({ queued: 0, inFlight: 0 })
})
