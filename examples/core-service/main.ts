/** A service with config, metrics, health and a clean shutdown: `DHARMA_ORDERS_PORT=8080 node main.ts`. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defineConfig, duration, loadConfig, port } from '@dharma/core/config'
import { createHealth } from '@dharma/core/health'
import { createGracefulServer, createNodeHandler } from '@dharma/core/http'
import { createLifecycle } from '@dharma/core/lifecycle'
import { createMetrics } from '@dharma/core/metrics'

// #region service
const config = loadConfig(defineConfig('orders', { port: port(0), wait: duration('1s') }))
const metrics = createMetrics()
const health = createHealth({ metrics, pressure: { shedAt: 0.95 } })
const lifecycle = createLifecycle({ health, limits: { waitMs: config.wait } })
const server = createServer(createNodeHandler({ health, metrics }, answerOrder))
health.register({ name: 'stock', kind: 'readiness', check: () => pingStock() })
lifecycle.use(createGracefulServer(server), { name: 'http' })
lifecycle.onStart('http', () => once(server.listen(config.port, '127.0.0.1'), 'listening'))
lifecycle.install()
await lifecycle.start()
// #endregion

const orders = metrics.counter('orders_total', { help: 'Orders that were answered.' }).bind()
function answerOrder(_request: IncomingMessage, response: ServerResponse): void {
  orders.inc()
  response.end('ordered')
}

/** Stands for a dependency that is asked over the network. */
async function pingStock(): Promise<void> {}

// What a user, an orchestrator and its SIGTERM would do.
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log('order:', await (await fetch(`${origin}/orders/1`)).text())
console.log('live:', (await fetch(`${origin}/livez`)).status)
console.log('ready:', (await fetch(`${origin}/readyz`)).status)
const scraped = await (await fetch(`${origin}/metrics`)).text()
console.log('counted:', /^orders_total .*$/m.exec(scraped)?.[0])

lifecycle.on('flush', 'goodbye', () => console.log('shut down'))
process.kill(process.pid, 'SIGTERM')
await once(process, 'SIGTERM')
console.log('ready after SIGTERM:', (await fetch(`${origin}/readyz`)).status)

// Output:
// order: ordered
// live: 200
// ready: 200
// counted: orders_total 1
// ready after SIGTERM: 503
// shut down
