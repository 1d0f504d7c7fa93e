/** What a child process of a pool runs first. */
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { entryUrl } from './channel.ts'
import { ChildClaims } from './child-claims.ts'
import { FrameReader } from './frames.ts'
import { ProcessReplies } from './process-replies.ts'
import { REPLIES_FD, slotLimit, TASKS_FD, type WorkerSetup } from './protocol.ts'
import { TaskRunner } from './task-runner.ts'

const setup = JSON.parse(process.argv[2] ?? '') as WorkerSetup
const claims = new ChildClaims(slotLimit(setup.concurrency))
new Worker(entryUrl('watchdog-entry'), {
  workerData: claims.buffer,
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
}).unref()

const runner = new TaskRunner(new ProcessReplies(REPLIES_FD, claims), setup)
await runner.start()
const reader = new FrameReader()
const tasks = new Socket({ fd: TASKS_FD, readable: true, writable: false })
tasks.on('data', (chunk: Buffer) => {
  reader.read(chunk, (message) => runner.receive(message as readonly unknown[]))
})
tasks.on('close', () => process.exit(0))
