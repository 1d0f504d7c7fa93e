/* oxlint-disable unicorn/require-post-message-target-origin -- a port has no origin. */
/** The least that a thread can do: a message in, a message out. */
import { parentPort } from 'node:worker_threads'
import { addPair, spin } from './tasks.ts'

parentPort?.on('message', ([id, name, argument]: [number, string, never]) => {
  parentPort?.postMessage([id, name === 'spin' ? spin(argument) : addPair(argument)])
})
