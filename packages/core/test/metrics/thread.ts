/** A worker thread of the tests: counts as it is told, and says when it has. */
import { parentPort, workerData } from 'node:worker_threads'
import { attachSharedMetrics } from '@dharma/core/metrics'

const { memory, times } = workerData as { memory: SharedArrayBuffer; times: number }
const metrics = attachSharedMetrics(memory)
const help = 'Counted in threads.'
const counter = metrics.counter('a_total', { help, labels: ['b'] }).bind('x')
const histogram = metrics.histogram('a_seconds', { help }).bind()
metrics.gauge('a', { help, read: () => 7 })
for (let i = 0; i < times; i++) {
  counter.inc()
  histogram.observe(0.01)
}
metrics.close()
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort?.postMessage('counted')
