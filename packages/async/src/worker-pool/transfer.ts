import type { Transferable } from 'node:worker_threads'

const KEY = Symbol.for('@dharma/async/worker-pool/transfer')

function lists(): WeakMap<object, readonly Transferable[]> {
  const shared = globalThis as { [KEY]?: WeakMap<object, readonly Transferable[]> }
  return (shared[KEY] ??= new WeakMap())
}

/**
 * Marks the result of a task: what is in the list moves to the caller's thread instead of being
 * copied, and is gone in the worker. Returns the value, so that a task ends with
 * `return transfer(pixels, [pixels.buffer])`. A process has no memory to move and copies.
 */
export function transfer<T extends object>(value: T, list: readonly Transferable[]): T {
  lists().set(value, list)
  return value
}

/** The list that {@link transfer} was given for this value, which it forgets. */
export function takeTransferList(value: unknown): readonly Transferable[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const list = lists().get(value)
  if (list !== undefined) lists().delete(value)
  return list
}
