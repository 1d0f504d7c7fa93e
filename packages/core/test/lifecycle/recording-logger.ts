/** A logger that keeps its lines for the tests of this folder. */
import type { Logger, LogMethod } from '@dharma/core'

export interface RecordedLine {
  readonly level: string
  readonly fields: object | undefined
  readonly message: string | undefined
}

export function recordingLogger(): { readonly logger: Logger; readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = []
  const method =
    (level: string): LogMethod =>
    (first: object | string, message?: unknown) => {
      if (typeof first === 'string') lines.push({ level, fields: undefined, message: first })
      else lines.push({ level, fields: first, message: message as string | undefined })
    }
  const logger: Logger = {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    child: () => logger,
  }
  return { logger, lines }
}
