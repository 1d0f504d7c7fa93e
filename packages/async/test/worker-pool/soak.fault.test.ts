/** Many faults among innocent tasks, and many tasks at a flat heap; `DHARMA_SOAK=1` for the full counts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { WorkerPool } from '@dharma/async/worker-pool'
import { describe, expect, it } from 'vitest'
import { kinds, openPlainPool, type PlainWork } from './fixtures/open-pool.ts'

const isSoak = process.env['DHARMA_SOAK'] === '1'
const timeout = isSoak ? 3_600_000 : 120_000
/** A soak has more faults at once, and more workers, so that one starts while others hang. */
const workers = isSoak ? 8 : 2
const atOnce = isSoak ? 16 : 4
const innocentsAFault = 8
const HEAP_EVERY = 40

/** One fault of each kind, in turn. */
function inject(pool: WorkerPool<PlainWork>, index: number): Promise<unknown> {
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

const canCountChildren = existsSync('/proc/self/stat')

/** Child processes of pools of this process that run. */
function countChildren(): number {
  if (!canCountChildren) return 0
  return readdirSync('/proc').filter((name) => {
    try {
      const isEntry = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('process-entry')
      const parent = /\) \w (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]
      return isEntry && Number(parent) === process.pid
    } catch {
      // Not a process, or one that has just ended.
      return false
    }
  }).length
}

describe.each(kinds)('a pool of kind %s', { timeout }, (kind) => {
  const faults = isSoak
    ? Number(process.env['DHARMA_SOAK_FAULTS'] ?? 10_000)
    : kind === 'thread'
      ? 200
      : 80

  it(`loses no innocent task among ${faults} faults, and has its size again`, async () => {
    const pool = openPlainPool(kind, {
      min: workers,
      max: workers,
      unresponsiveMs: 10,
      resourceLimits: { maxHeapMb: 32 },
    })
    const counts = { settled: 0, innocent: 0, wrong: 0 }
    await pool.run('add', [1, 1])
    // Or else counting them at the end would prove nothing.
    expect(countChildren()).toBe(kind === 'process' && canCountChildren ? workers : 0)
    let next = 0
    const injectAll = async (): Promise<void> => {
      for (let index = next++; index < faults; index = next++) {
        const fault = Promise.allSettled([inject(pool, index)])
        const others = Array.from({ length: innocentsAFault }, (_, other) =>
          pool.run('add', [index, other]),
        )
        for (const [other, task] of (await Promise.allSettled(others)).entries()) {
          counts.innocent += 1
          if (task.status !== 'fulfilled' || task.value !== index + other) counts.wrong += 1
        }
        await fault
        counts.settled += 1
      }
    }
    await Promise.all(Array.from({ length: atOnce }, injectAll))
    expect(counts).toEqual({ settled: faults, innocent: faults * innocentsAFault, wrong: 0 })
    await expect.poll(() => pool.size, { timeout: 5000 }).toBe(workers)
    const { outcomes, workersStarted, workersEnded } = pool.stats()
    const total = Object.values(outcomes).reduce((sum, count) => sum + count)
    expect(total).toBe(faults * (innocentsAFault + 1) + 1)
    expect(workersEnded).toBeGreaterThan(faults / 4)
    await pool.close()
    expect(pool.stats().workersEnded).toBe(pool.stats().workersStarted)
    expect(countChildren()).toBe(0)
    if (isSoak) console.log(JSON.stringify({ kind, ...counts, outcomes, workersStarted }))
  })
})

it('runs a great many tasks at a flat heap', { timeout }, async () => {
  const tasks = isSoak ? 1_000_000 : 50_000
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await using pool = openPlainPool('thread', { taskTimeoutMs: 60_000, max: 2 })
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
  if (isSoak) console.log(JSON.stringify({ tasks, grownBytes }))
})
