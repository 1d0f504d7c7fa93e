/** A process of its own with a cache, which calls a cold key many times when it is told to. */
import { createCache } from '@dharma/cache'

export interface StampedeOrder {
  readonly key: string
  readonly callers: number
  readonly loaderMs: number
}

const [namespace = '', url = ''] = process.argv.slice(2)
const cache = createCache({ namespace, redis: url, timeoutMs: 10_000 })
await cache.ready()

process.on('message', (order: StampedeOrder | 'close') => {
  if (order === 'close') void cache.close().then(() => process.disconnect())
  else void call(order)
})
process.send?.('ready')

async function call({ key, callers, loaderMs }: StampedeOrder): Promise<void> {
  let loads = 0
  const load = async (): Promise<number> => {
    loads++
    await new Promise((resolve) => setTimeout(resolve, loaderMs))
    return 1
  }
  await Promise.all(Array.from({ length: callers }, () => cache.getOrLoad(key, load)))
  process.send?.(loads)
}
