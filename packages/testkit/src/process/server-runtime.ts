/** What runs a server: a process of ours or a container. Nothing here waits for readiness. */
export interface ServerRuntime {
  readonly pid: number | undefined
  /** Whether it was never launched, or has ended by itself or by a fault. */
  readonly hasEnded: boolean
  launch(): Promise<void>
  /** At once, as a crash. Resolves when it is gone. */
  kill(): Promise<void>
  /** In good order. Resolves when it is gone. */
  terminate(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  /** Drops all data of a server that has ended; the next launch starts with none. */
  wipe(): Promise<void>
  /** Ends it in any state and removes what it left. */
  dispose(): Promise<void>
  /** The last lines that the server wrote. */
  readLog(): Promise<string>
}
