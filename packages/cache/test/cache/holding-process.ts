/** A process that takes the lease of a key, says so, and never ends its load. */
import { createCache } from '@dharma/cache'

const [redis = '', namespace = ''] = process.argv.slice(2)
const cache = createCache({ namespace, redis, leaseMs: 500 })
await cache.ready()
void cache.getOrLoad('k', () => {
  process.send?.('loading')
  return new Promise(() => {})
})
