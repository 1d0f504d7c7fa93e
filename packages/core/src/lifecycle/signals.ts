import { constants } from 'node:os'
import { ClosedError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { redactText } from '../redact.ts'
import type { ShutdownReport } from './shutdown-report.ts'

/** What {@link InstallOptions.host} must do: what `process` does. */
export interface HostProcess {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
  exit(code: number): void
}

export interface InstallOptions {
  /** The signals that ask for a shutdown. A second one, whichever, ends the process at once. @default ['SIGTERM', 'SIGINT'] */
  readonly signals?: readonly NodeJS.Signals[]
  /**
   * What an uncaught error or unhandled rejection does: `stop` logs it, shuts down and exits with
   * 1; `exit` logs it and exits at once with 1; `leave` leaves it to Node. @default 'stop'
   */
  readonly uncaughtErrors?: 'stop' | 'exit' | 'leave'
  /** Who gets signals and can exit. @default process */
  readonly host?: HostProcess
}

/** Listens on the host. Exits with 0 after a clean shutdown, else with 1; with 128 + n at once on a second signal. */
export function listenToHost(
  stop: (reason: string) => Promise<ShutdownReport>,
  logger: Logger | undefined,
  options: InstallOptions,
): Disposable {
  const { signals = ['SIGTERM', 'SIGINT'], uncaughtErrors = 'stop', host = process } = options
  const listeners = new DisposableStack()
  let signalsSeen = 0
  let hasUncaught = false

  const listen = (event: string, listener: (...args: unknown[]) => void): void => {
    host.on(event, listener)
    listeners.defer(() => void host.off(event, listener))
  }
  const stopAndExit = async (reason: string): Promise<void> => {
    const { isClean } = await stop(reason)
    host.exit(isClean && !hasUncaught ? 0 : 1)
  }
  for (const signal of signals) {
    listen(signal, () => {
      signalsSeen++
      if (signalsSeen === 1) return void stopAndExit(signal)
      logger?.warn({ signal }, 'a second signal: exit at once')
      return host.exit(128 + constants.signals[signal])
    })
  }
  if (uncaughtErrors !== 'leave') {
    // With this listener Node raises unhandled rejections here too.
    listen('uncaughtException', (error) => {
      // The end of a `start()` that a signal interrupted: nobody has to hear of it.
      if (error instanceof ClosedError && error.component === 'lifecycle') return
      logUncaught(error, logger)
      if (uncaughtErrors === 'exit') return host.exit(1)
      const isFirst = !hasUncaught
      hasUncaught = true
      if (isFirst && signalsSeen === 0) void stopAndExit('uncaught error')
    })
  }
  return listeners
}

function logUncaught(error: unknown, logger: Logger | undefined): void {
  if (logger !== undefined) return logger.fatal({ err: error }, 'uncaught error')
  console.error(redactText(error instanceof Error ? (error.stack ?? String(error)) : String(error)))
}
