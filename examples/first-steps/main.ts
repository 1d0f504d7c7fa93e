// #region read
import { createTaskQueue, defineTask } from '@dharma/async/task-queue'
import { createCache } from '@dharma/cache'
import { z } from 'zod'

let loads = 0

// Without `redis` and `engine` both live in this process; with them, in all of them.
await using cache = createCache({ namespace: 'shop' })
await using queue = createTaskQueue()

const price = (sku: string): Promise<number> =>
  cache.getOrLoad(`price:${sku}`, () => loadPrice(sku), { ttlMs: 60_000, tags: ['prices'] })

const quote = defineTask({
  name: 'quote',
  input: z.object({ sku: z.string(), count: z.number().int().positive() }),
  retry: { maxAttempts: 3 },
  run: async ({ sku, count }) => count * (await price(sku)),
})

queue.work([quote], { concurrency: 8 })
const jobs = await queue.enqueueMany(
  quote,
  [1, 2, 3].map((count) => ({ sku: 'tea', count })),
)
console.log(await Promise.all(jobs.map((job) => job.result())))
console.log(`loaded ${loads} time`)
// #endregion

async function loadPrice(sku: string): Promise<number> {
  loads++
  return sku.length
}

// Output:
// [ 3, 6, 9 ]
// loaded 1 time
