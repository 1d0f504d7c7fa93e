import type { Clock } from '../clock.ts'
import { TimeoutError, toError } from '../errors.ts'

/** Something that has to have started before this process is ready. */
export interface StartHook {
  readonly name: string
  readonly run: (signal: AbortSignal) => unknown
  readonly timeoutMs: number
  /**
   * `interrupted`: abandoned at its limit or by a shutdown. It may have taken hold of something,
   * so it is undone like one that has started; one that threw is not.
   */
  state: 'waiting' | 'running' | 'started' | 'interrupted' | 'failed'
}

/** Runs one start hook, at most for its limit and until `stopping` aborts. Rejects with what ended it. */
export async function runStartHook(
  hook: StartHook,
  stopping: AbortSignal,
  clock: Clock,
): Promise<void> {
  const limit = new AbortController()
  const signal = AbortSignal.any([stopping, limit.signal])
  const interrupted = Promise.withResolvers<never>()
  const onAbort = (): void => {
    if (hook.state === 'running') hook.state = 'interrupted'
    interrupted.reject(toError(signal.reason))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = clock.setTimeout(() => {
    limit.abort(new TimeoutError(`start of ${hook.name}`, hook.timeoutMs))
  }, hook.timeoutMs)
  hook.state = 'running'
  try {
    stopping.throwIfAborted()
    await Promise.race([Promise.try(hook.run, signal), interrupted.promise])
    hook.state = 'started'
  } catch (error) {
    if (hook.state === 'running') hook.state = 'failed'
    throw error
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', onAbort)
  }
}
