import { createAsyncManager } from '@dharma/async/async-manager'
import { defineBench, type Bench } from '@dharma/testkit/bench'
import Bottleneck from 'bottleneck'
import pLimit from 'p-limit'
import PQueue from 'p-queue'

const CONCURRENCY = 50
const work = async (item: number): Promise<number> => item + 1

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** One short asynchronous call per item, fifty at once, results in order. */
const mapBatch: Bench = defineBench({
  name: 'async.map-batch',
  title: 'an item mapped by an async function, 50 at once, results in order',
  subjects: {
    dharma: () => {
      const manager = createAsyncManager()
      return {
        iterate: async (count) => {
          await manager.mapBatch(numbers(count), work, { concurrency: CONCURRENCY })
        },
      }
    },
    'dharma stream': () => {
      const manager = createAsyncManager()
      return {
        iterate: async (count) => {
          let sum = 0
          const options = { concurrency: CONCURRENCY }
          for await (const value of manager.mapStream(numbers(count), work, options)) sum += value
          if (sum === 0) throw new Error('nothing was mapped')
        },
      }
    },
    'p-limit': () => {
      const limit = pLimit(CONCURRENCY)
      return {
        iterate: async (count) => {
          await limit.map(numbers(count), work)
        },
      }
    },
    'p-queue': () => {
      const queue = new PQueue({ concurrency: CONCURRENCY })
      return {
        iterate: async (count) => {
          await queue.addAll(numbers(count).map((item) => () => work(item)))
        },
      }
    },
    bottleneck: () => {
      const limiter = new Bottleneck({ maxConcurrent: CONCURRENCY })
      return {
        iterate: async (count) => {
          await Promise.all(numbers(count).map((item) => limiter.schedule(() => work(item))))
        },
      }
    },
  },
  bars: [
    { subject: 'dharma', over: 'p-limit', atMost: 0.75 },
    { subject: 'dharma', over: 'p-queue', atMost: 0.5 },
  ],
})

export const benches: readonly Bench[] = [mapBatch]
