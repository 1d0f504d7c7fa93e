/** A process that calls for one key many times at once, and says what came of it. */
import { createCache, RemoteLoadError } from '@dharma/cache'
import { Redis } from 'ioredis'

const [url = '', namespace = '', calls = '0', behavior = ''] = process.argv.slice(2)
const counter = new Redis(url)
const leaseMs = behavior === 'is killed' ? 500 : 5_000
const cache = createCache({ namespace, redis: url, leaseMs })
const allCall = Promise.withResolvers<void>()
await cache.ready()

async function load(): Promise<string> {
  const call = await counter.incr(`${namespace}:calls`)
  const isHanging = behavior === 'hangs' || (behavior === 'is killed' && call === 1)
  if (isHanging) {
    process.send?.('loading')
    return new Promise(() => {})
  }
  await allCall.promise
  if (behavior === 'throws') throw new Error('boom')
  return 'value'
}

process.on('message', (word) => {
  if (word === 'go') void run()
  else allCall.resolve()
})
process.send?.('ready')

async function run(): Promise<void> {
  const reads = Array.from({ length: Number(calls) }, () =>
    cache.getOrLoad('k', load, { loadTimeoutMs: behavior === 'hangs' ? 3_000 : 30_000 }),
  )
  // Each read goes out after the answer to the one before: by then the lease has been asked for, too.
  for (const key of ['a', 'b', 'c', 'd']) await cache.get(key)
  process.send?.('calling')
  const seen = (await Promise.allSettled(reads)).map((outcome) => {
    if (outcome.status === 'fulfilled') return outcome.value
    const { reason } = outcome as { readonly reason: Error }
    return reason instanceof RemoteLoadError ? reason.remoteName : reason.name
  })
  process.send?.({ seen: [...new Set(seen)] })
  await cache.close()
  counter.disconnect()
  process.disconnect()
}
