/** Callers who ask again as soon as they have an answer, and what became of it all. */
export class Load implements AsyncDisposable {
  readonly errors: unknown[] = []
  answered = 0
  #isOver = false
  readonly #callers: Promise<void>[]

  constructor(callers: number, call: (caller: number) => Promise<unknown>) {
    this.#callers = Array.from({ length: callers }, (_, caller) => this.#run(() => call(caller)))
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#callers)
  }

  /** So that a test that fails leaves no load for the next one. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  async #run(call: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      try {
        await call()
        this.answered += 1
      } catch (error) {
        this.errors.push(error)
        // What fails at once is asked for again in the next turn, so that the test goes on.
        await new Promise(setImmediate)
      }
    }
  }
}
