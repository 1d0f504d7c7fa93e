/** Writes one line: the fields, if any, come first, as pino has it. */
export interface LogMethod {
  (fields: object, message?: string, ...values: unknown[]): void
  (message: string, ...values: unknown[]): void
}

/**
 * The logging contract, in pino's shape, so that a pino logger fits as it is. Make one with
 * `createLogger` of `@dharma/core/logger`, or give your own.
 */
export interface Logger {
  readonly trace: LogMethod
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
  readonly fatal: LogMethod
  /** A logger that adds `bindings` to each of its lines. */
  child(bindings: Record<string, unknown>): Logger
}

/** Writes nothing: the default of every component that can log. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  child: () => silentLogger,
}

function ignore(): void {}
