import { ClusterWorker } from 'poolifier'
import { addPair } from './tasks.ts'

/** What poolifier runs in a process. */
export const worker: ClusterWorker<readonly [number, number], number> = new ClusterWorker((pair) =>
  addPair(pair ?? [0, 0]),
)
