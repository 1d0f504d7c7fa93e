import { ThreadWorker } from 'poolifier'
import { addPair } from './tasks.ts'

/** What poolifier runs in a thread. */
export const worker: ThreadWorker<readonly [number, number], number> = new ThreadWorker((pair) =>
  addPair(pair ?? [0, 0]),
)
