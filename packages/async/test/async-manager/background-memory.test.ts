import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createAsyncManager } from '@dharma/async/async-manager'
import { expect, test } from 'vitest'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const isSoak = process.env['DHARMA_SOAK'] === '1'
const TASKS = isSoak ? 1_000_000 : 100_000
const AT_ONCE = 1_000

test(`${TASKS} background tasks leave the heap as it was`, { timeout: 300_000 }, async () => {
  await using manager = createAsyncManager()
  let ended = 0
  const options = { timeoutMs: 60_000, onSettled: () => (ended += 1) }
  const run = async (count: number): Promise<void> => {
    for (let begun = 0; begun < count; begun += AT_ONCE) {
      const tasks = Array.from({ length: AT_ONCE }, (_, index) =>
        manager.background(async () => index, options),
      )
      await Promise.all(tasks.map(({ settled }) => settled))
    }
  }
  await run(TASKS / 10)
  collectGarbage()
  const beforeBytes = process.memoryUsage().heapUsed
  await run(TASKS)
  collectGarbage()
  const grownBytes = process.memoryUsage().heapUsed - beforeBytes
  expect(ended).toBe(TASKS + TASKS / 10)
  expect(grownBytes).toBeLessThan(2_000_000)
  if (isSoak) console.log(JSON.stringify({ tasks: TASKS, grownBytes }))
})
