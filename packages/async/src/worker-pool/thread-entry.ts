/** What a thread of a pool runs first. */
import { workerData, type MessagePort } from 'node:worker_threads'
import type { WorkerSetup } from './protocol.ts'
import { SharedSlots } from './shared-slots.ts'
import { TaskRunner } from './task-runner.ts'
import { ThreadReplies } from './thread-replies.ts'

interface ThreadData {
  readonly port: MessagePort
  readonly slots: SharedArrayBuffer
  readonly setup: WorkerSetup
}

const { port, slots, setup } = workerData as ThreadData
const runner = new TaskRunner(new ThreadReplies(port, new SharedSlots(slots)), setup)
await runner.start()
port.on('message', (message: readonly unknown[]) => runner.receive(message))
