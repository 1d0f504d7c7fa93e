/** Short messages to whoever listens now, in any process. None is kept; delivery is best effort. */
export interface SignalBus {
  publish(topic: string, text: string): Promise<void>
  /** Resolves once messages arrive; dispose to stop. */
  subscribe(topic: string, listener: (text: string) => void): Promise<Disposable>
}
