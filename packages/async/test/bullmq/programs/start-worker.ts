import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Node keeps compiled modules by default: most of a start would be compiling the same ones anew. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')

/** Worker processes of one test; what is left of them ends with it. */
export class WorkerProcesses implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv
  readonly #alive = new Set<ChildProcess>()
  readonly #working = new Set<ChildProcess>()
  readonly #spare: ChildProcess[] = []

  constructor(url: string, scope: string, concurrency = 10) {
    this.#env = {
      ...process.env,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      REDIS_URL: url,
      SCOPE: scope,
      CONCURRENCY: String(concurrency),
    }
  }

  /** Those that work. */
  get working(): readonly ChildProcess[] {
    return [...this.#working]
  }

  /** Starts processes that begin to work when {@link start} takes them: all at once, since most of it is loading. */
  async prepare(count: number): Promise<void> {
    this.#spare.push(...(await Promise.all(Array.from({ length: count }, () => this.#fork()))))
  }

  async start(): Promise<ChildProcess> {
    const child = this.#spare.shift() ?? (await this.#fork())
    const isWorking = once(child, 'message')
    child.send('work')
    await isWorking
    this.#working.add(child)
    return child
  }

  async end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#alive].map((child) => this.end(child, 'SIGKILL')))
  }

  async #fork(): Promise<ChildProcess> {
    const child = fork(new URL('./worker.ts', import.meta.url), {
      env: this.#env,
      execArgv: ['--conditions=@dharma/source'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#alive.add(child)
    child.once('exit', () => {
      this.#alive.delete(child)
      this.#working.delete(child)
    })
    await once(child, 'message')
    return child
  }
}
