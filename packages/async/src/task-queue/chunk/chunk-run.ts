import { toError } from '@dharma/core'
import { encodePayload } from '../codec.ts'
import type { Task, TaskContext } from '../define-task.ts'
import { ChunkFailedError } from '../errors.ts'
import type { StateStore } from '../state-store.ts'

/** How much may be done again after a crash: what was done since the last checkpoint. */
const CHECKPOINT_EVERY_MS = 200
const CHECKPOINT_TTL_MS = 7 * 24 * 3_600_000

export interface ChunkRunOptions {
  readonly state: StateStore
  readonly task: Task
  /** The map in which results are kept until all are there. */
  readonly checkpoints: string
  /** Whether no earlier run can have left checkpoints. */
  readonly isFirst: boolean
  readonly inputs: readonly unknown[]
  readonly context: TaskContext
  readonly maxResultBytes: number
  readonly nowMs: () => number
  /** Called before each input. */
  readonly onNext: () => void
}

/** Where the results of a chunk's inputs are kept while not all are there: by index. */
export function checkpointKey(queue: string, jobId: string): string {
  return `chunk:${queue}:${jobId}`
}

/**
 * Runs the inputs of a chunk one after the other, those left out that an earlier run has got past.
 * @throws ChunkFailedError after all were tried, when some failed
 */
export async function runChunk(options: ChunkRunOptions): Promise<unknown[]> {
  const { state, task, checkpoints, isFirst, inputs, context, maxResultBytes, nowMs, onNext } =
    options
  const done = isFirst ? {} : await state.fields(checkpoints)
  const results: unknown[] = []
  const failures = new Map<number, string>()
  let fresh: Record<string, string> = {}
  let savedMs = nowMs()
  let hasFresh = false
  const save = async (): Promise<void> => {
    if (hasFresh) await state.record(checkpoints, fresh, CHECKPOINT_TTL_MS)
    fresh = {}
    hasFresh = false
    savedMs = nowMs()
  }
  for (const [index, input] of inputs.entries()) {
    const earlier = done[index]
    if (earlier !== undefined) {
      results.push(JSON.parse(earlier))
      continue
    }
    if (context.signal.aborted) break
    onNext()
    try {
      const result = (await task.execute(input, context)) ?? null
      fresh[index] = encodePayload(task.name, 'result', result, maxResultBytes)
      hasFresh = true
      results.push(result)
    } catch (error) {
      failures.set(index, toError(error).message)
    }
    if (nowMs() - savedMs >= CHECKPOINT_EVERY_MS) await save()
  }
  if (context.signal.aborted || failures.size > 0) await save()
  context.signal.throwIfAborted()
  if (failures.size > 0) throw new ChunkFailedError(failures)
  return results
}
