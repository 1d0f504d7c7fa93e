import { bullmqRedis } from '@dharma/async/bullmq'
import { createTaskQueue, defineTask } from '@dharma/async/task-queue'
import { silentLogger } from '@dharma/core'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { z } from 'zod'

const connection = inject('redisUrl')

describeWithRedis('Schedules on one Redis', () => {
  /** Two queue objects with a scheduler and a worker each, as in two processes. */
  function twoQueues() {
    const prefix = randomUUID()
    const due: number[] = []
    let wake = (): void => {}
    const tick = defineTask({
      name: 'tick',
      input: z.string(),
      run: (_, { dueMs = 0 }) => {
        due.push(dueMs)
        wake()
      },
    })
    const open = () => {
      const engine = bullmqRedis({ connection, prefix })
      return createTaskQueue({ engine, logger: silentLogger })
    }
    /** Resolves when so many different due times have been run. */
    const ran = async (count: number): Promise<void> => {
      while (new Set(due).size < count) {
        await new Promise<void>((resolve) => (wake = resolve))
      }
    }
    return { due, tick, open, ran }
  }

  it('make one job at each due time, however many queue objects run them', async () => {
    const { due, tick, open, ran } = twoQueues()
    await using first = open()
    await using second = open()
    for (const queue of [first, second]) {
      queue.work([tick])
      await queue.schedule('each', tick, 'x', { everyMs: 1_000 })
    }
    await ran(4)
    expect(await second.unschedule('each')).toBe(true)
    // A scheduler that was late with a time would have made its job again by the next one.
    const times = due.filter((ms) => ms < Math.max(...due)).toSorted((a, b) => a - b)
    expect(times.map((ms) => (ms - (times[0] ?? 0)) / 1_000)).toEqual([0, 1, 2])
    expect(await first.schedules()).toEqual([])
  })

  it('go on with another queue object when the one that made them is closed', async () => {
    const { due, tick, open, ran } = twoQueues()
    const first = open()
    await first.schedule('each', tick, 'x', { everyMs: 1_000 })
    await using second = open()
    second.work([tick])
    await ran(1)
    await first.close()
    await ran(3)
    expect(new Set(due).size).toBe(due.length)
    await second.unschedule('each')
  })
})
