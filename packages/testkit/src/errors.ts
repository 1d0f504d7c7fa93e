import type { Origin, ServerKind } from './test-server.ts'

/**
 * The root of the testkit's errors, in the shape of `DharmaError`. It is not that class, because the packages'
 * tests and benchmarks import the testkit, so the testkit imports none of them.
 */
export abstract class TestkitError extends Error {
  /** Stable, `DHARMA_TESTKIT_` and upper case: what a program compares. */
  abstract readonly code: string
}

/** One way that was tried to get a server, and why it gave none. */
export interface Attempt {
  readonly origin: Origin
  /** The thing looked for, for example `mongod in PATH`. */
  readonly what: string
  /** Why it gave no server, in words. */
  readonly refusal: string
}

/** No way leads to a server of this kind on this machine; `tried` says each way and its refusal. */
export class ServerUnavailableError extends TestkitError {
  override readonly name = 'ServerUnavailableError'
  readonly code = 'DHARMA_TESTKIT_SERVER_UNAVAILABLE'
  readonly kind: ServerKind
  readonly tried: readonly Attempt[]
  /** What a person can do about it. */
  readonly advice: string

  constructor(kind: ServerKind, tried: readonly Attempt[], advice: string, options?: ErrorOptions) {
    const list = tried.map(({ origin, what, refusal }) => `  - ${origin}: ${what}: ${refusal}`)
    super([`no ${kind} server could be had. Tried:`, ...list, advice].join('\n'), options)
    this.kind = kind
    this.tried = tried
    this.advice = advice
  }
}

/** A server was launched and ended, or did not answer within its limit. */
export class ServerStartError extends TestkitError {
  override readonly name = 'ServerStartError'
  readonly code = 'DHARMA_TESTKIT_SERVER_START'
  /** Which server, for example `redis on port 12345`. */
  readonly server: string
  /** The last lines that the server wrote. */
  readonly log: string

  constructor(server: string, reason: string, log: string, options?: ErrorOptions) {
    super(`${server} ${reason}${log === '' ? '' : `\n${log}`}`, options)
    this.server = server
    this.log = log
  }
}

/** This server cannot be broken in this way: it is not ours, or not in a state that allows it. */
export class FaultUnsupportedError extends TestkitError {
  override readonly name = 'FaultUnsupportedError'
  readonly code = 'DHARMA_TESTKIT_FAULT_UNSUPPORTED'
  readonly fault: string
  readonly origin: Origin

  constructor(fault: string, origin: Origin, reason: string, options?: ErrorOptions) {
    super(`${fault}() is not possible on a server of origin '${origin}': ${reason}`, options)
    this.fault = fault
    this.origin = origin
  }
}
