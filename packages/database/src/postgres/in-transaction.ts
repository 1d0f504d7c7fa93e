import type { CopyLine } from './copy/copy-line.ts'

/** Runs `work` as part of the transaction that is under way, or in one of its own. */
export async function inTransaction<R>(line: CopyLine, work: () => Promise<R>): Promise<R> {
  if (line.isInTransaction) return work()
  await line.control('begin')
  let result: R
  try {
    result = await work()
  } catch (error) {
    line.settleAfter(() => rollBack(line))
    throw error
  }
  await line.control('commit')
  return result
}

/** A session that cannot roll back is ended, which rolls back too. */
export async function rollBack(line: CopyLine): Promise<void> {
  try {
    await line.control('rollback')
  } catch {
    line.giveUp()
  }
}
