import { spawnSync } from 'node:child_process'
import { glob, readFile } from 'node:fs/promises'
import { uniqueName } from '@dharma/testkit'
import { describeWith } from '@dharma/testkit/vitest'
import { beforeAll, expect, inject, it, vi } from 'vitest'
import { z } from '../../packages/async/node_modules/zod/index.js'
import { createAsyncManager } from '../../packages/async/src/async-manager/index.ts'
import { ConnectionPool } from '../../packages/async/src/connection-pool/index.ts'
import { createTaskQueue, defineTask } from '../../packages/async/src/task-queue/index.ts'
import { createCache } from '../../packages/cache/src/index.ts'
import {
  createInvalidationHandler,
  userProfileUpdated,
} from '../../packages/cache/src/invalidation-handler/index.ts'
import { createHealth } from '../../packages/core/src/health/index.ts'
import { createMetrics } from '../../packages/core/src/metrics/index.ts'
import type { Metrics } from '../../packages/core/src/metrics.ts'
import { MongoManager } from '../../packages/database/src/mongodb/index.ts'
import { PostgresManager, sql } from '../../packages/database/src/postgres/index.ts'

// The root depends on no package, so each is imported by its path.

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined

describeWith(
  'redis',
  'postgres',
  'mongo',
)('One registry with the metrics of all packages', () => {
  let text: string

  beforeAll(async () => {
    const metrics = createMetrics()
    await useCore(metrics)
    await useAsync(metrics)
    await useCache(metrics)
    await useDatabase(metrics)
    text = await metrics.expose()
  }, 60_000)

  it('promtool finds nothing wrong with it', (context) => {
    if (!hasPromtool) {
      if (process.env['CI'] === 'true') throw new Error('promtool is missing: install prometheus')
      console.warn(
        'SKIPPED, for promtool is missing: the check of all metrics. Install prometheus.',
      )
      context.skip()
    }
    const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input: text })
    expect([String(stdout), String(stderr), status]).toEqual(['', '', 0])
  })

  it('every metric that a source file names is in it, with a series', async () => {
    const names = await namesInSources()
    const series = [...text.matchAll(/^(dharma_\w+?)(?:_bucket|_sum|_count)?(?:\{| )/gm)]
    const shown = [...new Set(series.map(([, name = '']) => name))]
    const missing = names.filter((name) => !shown.some((one) => new RegExp(`^${name}$`).test(one)))
    expect(missing).toEqual([])
    expect(names.length).toBeGreaterThan(30)
  })

  it('no value failed to be read but the one that was made to', () => {
    const failures = text.split('\n').filter((line) => line.startsWith('dharma_metrics_read'))
    expect(failures).toEqual(['dharma_metrics_read_failures_total{metric="broken"} 2'])
  })
})

async function useCore(metrics: Metrics): Promise<void> {
  const read = (): number => {
    throw new Error('broken')
  }
  metrics.gauge('broken', { help: 'Cannot be read.', read })
  // The counter of failures is there from the first one on: the scrape makes it two.
  metrics.read('broken')
  await using health = createHealth({ metrics, pressure: { shedAt: 0.95 } })
  const failed = Promise.withResolvers<unknown>()
  health.onChange(failed.resolve)
  health.register({ name: 'failing', kind: 'readiness', check: () => false })
  await failed.promise
}

async function useAsync(metrics: Metrics): Promise<void> {
  const name = uniqueName('all')
  await using manager = createAsyncManager({ name, metrics, threads: { max: 1 } })
  await manager.policy({ name, retry: { maxAttempts: 2 } }).execute(() => 1)
  expect(await manager.runInThread((a: number, b: number) => a + b, [1, 2])).toBe(3)
  await using pool = new ConnectionPool({ create: async () => ({}) }, { name, metrics })
  await pool.use(() => 1)
  const task = defineTask({ name, input: z.object({ n: z.number() }), run: ({ n }) => n + 1 })
  await using queue = createTaskQueue({ metrics })
  queue.work([task])
  const job = await queue.enqueue(task, { n: 1 })
  expect(await job.result()).toBe(2)
}

async function useCache(metrics: Metrics): Promise<void> {
  const redis = inject('redisUrl')
  await using cache = createCache({ namespace: uniqueName('all'), redis, metrics })
  await cache.ready()
  const tags = ['user:1']
  expect(await cache.getOrLoad('name', () => 'Ada', { tags })).toBe('Ada')
  await using handler = createInvalidationHandler({
    service: uniqueName('all'),
    stream: uniqueName('stream'),
    caches: [cache],
    redis,
    blockMs: 100,
    metrics,
  })
  await handler.ready()
  await handler.publish(userProfileUpdated, { userId: 1 })
  await vi.waitFor(async () => expect(await cache.get('name')).toBeUndefined(), 5_000)
}

async function useDatabase(metrics: Metrics): Promise<void> {
  const url = inject('postgresUrl')
  await using postgres = new PostgresManager({ url, metrics })
  await postgres.connect()
  expect((await postgres.query(sql`select 1 as one`)).rows).toEqual([{ one: 1 }])
  const database = uniqueName('all')
  await using mongo = new MongoManager({ url: inject('mongoUrl'), database, metrics })
  await mongo.connect()
  await mongo.insertMany('things', [{ n: 1 }])
  await mongo.database.dropDatabase()
}

/** Patterns of the metric names in the sources of the packages that are published. */
async function namesInSources(): Promise<string[]> {
  const names = new Set<string>()
  for await (const file of glob('packages/{core,async,cache,database}/src/**/*.ts')) {
    const source = (await readFile(file, 'utf8')).replaceAll(/\/\*[^]*?\*\//g, '')
    // Other things have such names, too: tables, functions, channels.
    if (!/metrics/i.test(source)) continue
    for (const [, name = ''] of source.matchAll(
      /['"`](dharma_[a-z0-9_]*(?:\$\{\w+\}\w*)*)['"`]/g,
    )) {
      names.add(name.replaceAll(/\$\{\w+\}/g, '\\w+'))
    }
  }
  return [...names].toSorted()
}
