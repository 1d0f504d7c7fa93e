/** Run by signals.test.ts: says on stdout how it goes down. */
import { createLifecycle } from '@dharma/core/lifecycle'

const [, , mode] = process.argv
const lifecycle = createLifecycle()
const keepAlive = setInterval(() => {}, 60_000)

lifecycle.on('stopAccepting', 'server', () => console.log('stopping'))
lifecycle.on('finish', 'requests', async () => {
  if (mode === 'hung') await new Promise(() => {})
  console.log('finished')
})
lifecycle.use({ [Symbol.dispose]: () => console.log('closed') })
lifecycle.on('flush', 'logs', () => console.log('flushed'))
lifecycle.on('flush', 'timer', () => clearInterval(keepAlive))
lifecycle.install()

console.log('ready')
if (mode === 'reject') void Promise.reject(new Error('nobody awaits this'))
