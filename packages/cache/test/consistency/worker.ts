/** Entry of a process of the checker: `worker.ts CONFIG`, driven by messages. */
import type { WorkerConfig } from './messages.ts'
import { skewClock } from './skewed-clock.ts'

const config = JSON.parse(process.argv[2] ?? '') as WorkerConfig
skewClock(config.skewMs)
// Only now: what is imported may keep the clock.
const { startSession, reportBroken } = await import('./worker-session.ts')
process.on('disconnect', () => process.exit())
await startSession(config).catch(reportBroken)
