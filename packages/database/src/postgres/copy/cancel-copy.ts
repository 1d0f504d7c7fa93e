import { isWithin } from '../is-within.ts'
import type { CopyLine } from './copy-line.ts'

/** How long a COPY that was told to end may take before the server is asked to cancel it. */
const POLITE_MS = 200
/** How long a cancelled COPY may take to end before its connection is given up. */
const CANCEL_GRACE_MS = 1_000

/**
 * Waits until the server has ended a COPY, which it is asked to cancel where it does not end by itself. After
 * that the connection is ready for its next statement, or given up.
 */
export async function cancelCopy(
  line: CopyLine,
  ended: Promise<unknown>,
  { politeMs = POLITE_MS }: { readonly politeMs?: number } = {},
): Promise<void> {
  if (politeMs > 0 && (await isWithin(line.clock, politeMs, ended))) return
  // Where the server cannot be asked, the grace ends the connection.
  const asked = line.cancel().catch(() => undefined)
  // A request to cancel that is still on its way could hit the next statement: hence both.
  if (!(await isWithin(line.clock, CANCEL_GRACE_MS, Promise.all([ended, asked])))) line.giveUp()
}
