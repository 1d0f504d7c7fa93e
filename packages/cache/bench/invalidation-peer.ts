/** A process of its own that tells when it has heard of what another did: by the log, or by raw pub/sub. */
import { createCache } from '@dharma/cache'
import { Redis } from 'ioredis'

export type Hearing = 'log' | 'pub/sub'

/** `ready`: it watches now. Else when it has heard, in nanoseconds of the machine's monotonic clock. */
export type Heard = 'ready' | { readonly atNs: string }

const [hearing = 'log', name = '', url = ''] = process.argv.slice(2)
const { hasHeard, prepare, close } = await (hearing === 'log' ? log() : pubSub())

process.on('message', (order: 'watch' | 'close') => {
  if (order === 'close') void close().then(() => process.disconnect())
  else void watch()
})
tell('ready')

async function watch(): Promise<void> {
  await prepare()
  tell('ready')
  while (!hasHeard()) await new Promise((resolve) => setImmediate(resolve))
  tell({ atNs: String(process.hrtime.bigint()) })
}

function tell(message: Heard): void {
  process.send?.(message)
}

interface Watched {
  hasHeard(): boolean
  prepare(): Promise<void>
  close(): Promise<void>
}

async function log(): Promise<Watched> {
  const cache = createCache({ namespace: name, redis: url })
  await cache.ready()
  return {
    hasHeard: () => cache.peek('k') === undefined,
    prepare: async () => {
      while (cache.peek('k') === undefined) await cache.get('k')
    },
    close: () => cache.close(),
  }
}

async function pubSub(): Promise<Watched> {
  const subscriber = new Redis(url)
  let heard = false
  subscriber.on('message', () => (heard = true))
  await subscriber.subscribe(name)
  return {
    hasHeard: () => heard,
    prepare: () => {
      heard = false
      return Promise.resolve()
    },
    close: () => {
      subscriber.disconnect()
      return Promise.resolve()
    },
  }
}
