/** The servers that the testkit knows. */
export type ServerKind = 'redis' | 'postgres' | 'mongo'

/**
 * Where a server came from, in the order in which they are tried: a URL in the environment, a
 * container, a program of this machine, a package of a registry.
 */
export type Origin = 'environment' | 'docker' | 'binary' | 'package'

/** `stopped` is SIGSTOP: connections stay open and nobody answers. `killed` is SIGKILL. */
export type ServerState = 'running' | 'stopped' | 'killed' | 'closed'

/** How a server comes back. */
export interface RestartOptions {
  /**
   * Whether the data folder is kept. What survives is what the server itself had written: a Redis
   * without persistence comes back empty either way. @default true
   */
  readonly keepData?: boolean
}

/** A place that takes a server's connections in its stead, such as a `FaultProxy`. */
export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * A real server on a loopback port, with its data in a temporary folder. It ends with `close()`, and
 * also when this process ends in any way, SIGKILL included. One fault at a time: calls on one server
 * must not overlap.
 */
export interface TestServer extends AsyncDisposable {
  readonly kind: ServerKind
  readonly url: string
  readonly host: string
  readonly port: number
  readonly origin: Origin
  /** The main process; undefined for a container, a server of the environment, or while killed. */
  readonly pid: number | undefined
  readonly state: ServerState
  /**
   * SIGKILL to the server and its children, as a crash. Resolves when they are gone.
   * @throws FaultUnsupportedError on a server of the environment, and wherever the state forbids it.
   */
  kill(): Promise<void>
  /** SIGSTOP to the whole process tree: it hangs with its connections open. Undone by `cont()`. */
  stop(): Promise<void>
  /** SIGCONT, then waits until the server answers again. */
  cont(): Promise<void>
  /** Ends the server in good order where it runs, starts it on the same port, waits until it answers. */
  restart(options?: RestartOptions): Promise<void>
  /** This server's URL with another address in it, for clients that shall go through a proxy. */
  urlThrough(address: Address): string
  /** Ends the server and removes its folder. A second call does nothing. */
  close(): Promise<void>
}

/** What every server's start takes. */
export interface StartOptions {
  /**
   * Whether the server must be one of our own, which faults can break and options can configure. A
   * server of the environment is passed over then. @default false
   */
  readonly dedicated?: boolean
  /** Longest wait for the server to answer, at start and after faults; 100 or more. @default 30000 */
  readonly readyTimeoutMs?: number
  /** Ends the start; what was launched by then is ended and removed. */
  readonly signal?: AbortSignal | undefined
}

/** The checked {@link StartOptions.readyTimeoutMs}. */
export function readyTimeoutOf({ readyTimeoutMs = 30_000 }: StartOptions): number {
  if (!(readyTimeoutMs >= 100)) {
    throw new RangeError(`readyTimeoutMs must be 100 or more, got ${readyTimeoutMs}`)
  }
  return readyTimeoutMs
}
