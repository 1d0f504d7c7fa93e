import { CrashLoopError, WorkerPool } from '@dharma/async/worker-pool'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { describe, expect, it } from 'vitest'
import { openPlainPool, openPool, reasonOf, Reports, type Work } from './fixtures/open-pool.ts'

describe('statistics', () => {
  it('tell the share of each worker, and tasks go to the least busy one', async () => {
    const reports = new Reports()
    await using pool = openPool('thread', {
      name: 'images',
      min: 2,
      concurrencyPerWorker: 2,
      onEvent: reports.onEvent,
    })
    await reports.reached('worker-ready', 2)
    const controller = new AbortController()
    const { signal } = controller
    const waiting = [1, 2, 3].map(() => reasonOf(pool.run('untilAborted', [], { signal })))
    await expect.poll(() => pool.load().inFlight).toBe(3)
    const { workers } = pool.stats()
    expect(new Set(workers.map(({ inFlight }) => inFlight))).toEqual(new Set([1, 2]))
    expect(pool.load()).toEqual({
      size: 2,
      busy: 2,
      queued: 0,
      inFlight: 3,
      capacity: 4,
      utilization: 0.75,
    })
    controller.abort('enough')
    await Promise.all(waiting)
    await expect.poll(() => pool.load().inFlight).toBe(0)
    await pool.run('spin', [20])
    const stats = pool.stats()
    expect(stats).toMatchObject({
      pool: 'images',
      kind: 'thread',
      workersStarted: 2,
      workersEnded: 0,
      outcomes: { completed: 1, aborted: 3 },
    })
    expect(stats.workers.map(({ workerId, phase }) => [workerId, phase])).toEqual([
      [1, 'ready'],
      [2, 'ready'],
    ])
    const answered = stats.workers.map((worker) => worker.answered)
    expect(answered.reduce((sum, one) => sum + one)).toBe(4)
    const runMs = stats.workers.reduce((sum, worker) => sum + worker.runMs, 0)
    expect(runMs).toBeGreaterThanOrEqual(20)
    for (const { ageMs, heapBytes } of stats.workers) {
      expect(ageMs).toBeGreaterThan(0)
      expect(heapBytes).toBeGreaterThan(1_000_000)
    }
  })

  it('appear in the metrics under the name of the pool', async () => {
    const metrics = createMetrics()
    const reports = new Reports()
    const { onEvent } = reports
    const pool = openPool('thread', { name: 'images', max: 1, metrics, onEvent })
    await pool.run('add', [1, 2])
    await reasonOf(pool.run('throwValue', [1]))
    await reasonOf(pool.run('echo', [() => 1]))
    await reasonOf(pool.run('throwBeside', ['beside']))
    await reports.reached('worker-ended', 1)
    await pool.close()
    const text = await metrics.expose()
    for (const line of [
      'dharma_worker_pool_tasks_total{pool="images",outcome="completed"} 1',
      'dharma_worker_pool_tasks_total{pool="images",outcome="failed"} 2',
      'dharma_worker_pool_tasks_total{pool="images",outcome="refused"} 1',
      'dharma_worker_pool_late_errors_total{pool="images"} 1',
      'dharma_worker_pool_worker_ends_total{pool="images",reason="late"} 1',
      'dharma_worker_pool_run_seconds_count{pool="images"} 3',
      'dharma_worker_pool_queued_tasks{pool="images"} 0',
    ]) {
      expect(text).toContain(line)
    }
  })
})

describe('health', () => {
  it('is up while tasks can run, and down after the end', async () => {
    const pool = openPlainPool('thread', { name: 'images', min: 0 })
    expect(pool.health()).toEqual({ status: 'up' })
    await pool.run('add', [1, 2])
    expect(pool.health()).toEqual({ status: 'up' })
    await pool.close()
    expect(pool.health()).toEqual({ status: 'down', reason: 'images is closed' })
  })

  it('is degraded while the queue is full', async () => {
    const pool = openPlainPool('thread', { name: 'images', min: 0, max: 1, maxQueue: 2 })
    const tasks = [pool.run('add', [1, 1]), pool.run('add', [1, 2])]
    expect(pool.health()).toEqual({ status: 'degraded', reason: 'the queue of images is full' })
    await Promise.all(tasks)
    expect(pool.health()).toEqual({ status: 'up' })
    await pool.close()
  })

  it('is down in a crash loop, with its cause, until its pause is over', async () => {
    const clock = new ManualClock()
    await using pool = new WorkerPool<Work>({
      name: 'images',
      module: new URL('fixtures/broken.ts', import.meta.url),
      max: 1,
      maxCrashes: 1,
      clock,
    })
    await reasonOf(pool.run('add', [1, 2]))
    const health = pool.health()
    expect(health).toMatchObject({ status: 'down', reason: 'workers of images crash in a loop' })
    expect(health.cause).toBeInstanceOf(CrashLoopError)
    expect(health.cause?.cause).toMatchObject({ message: 'this module does not load' })
    await clock.advance(1000)
    expect(pool.health()).toEqual({ status: 'up' })
  })
})
