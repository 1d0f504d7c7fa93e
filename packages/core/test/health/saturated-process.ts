/** Run by event-loop.test.ts: serves its own liveness while its loop is blocked by piecework. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createHealth } from '@dharma/core/health'
import { createNodeHandler } from '@dharma/core/http'

const health = createHealth({ eventLoop: { everyMs: 200, maxDelayMs: 60, failAfter: 2 } })
const server = createServer(createNodeHandler({ health }))
let isBusy = false

health.onChange((change) => {
  if (change.type === 'kind' && change.kind === 'liveness' && change.from !== 'pending') {
    process.send?.({ liveness: change.to })
  }
})

process.on('message', (order) => {
  isBusy = order === 'saturate'
  if (isBusy) work()
})

server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})

/** Blocks for 150 ms and lets the loop turn once, again and again. */
function work(): void {
  const untilMs = performance.now() + 150
  while (performance.now() < untilMs);
  if (isBusy) setImmediate(work)
}
