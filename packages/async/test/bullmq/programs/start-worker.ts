import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Worker processes of one test; what is left of them ends with it. */
export class WorkerProcesses implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv
  readonly #alive = new Set<ChildProcess>()

  constructor(url: string, scope: string, concurrency = 10) {
    this.#env = { ...process.env, REDIS_URL: url, SCOPE: scope, CONCURRENCY: String(concurrency) }
  }

  get alive(): readonly ChildProcess[] {
    return [...this.#alive]
  }

  async start(): Promise<ChildProcess> {
    const child = fork(new URL('./worker.ts', import.meta.url), {
      env: this.#env,
      execArgv: ['--conditions=@dharma/source'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#alive.add(child)
    child.once('exit', () => this.#alive.delete(child))
    await once(child, 'message')
    return child
  }

  async end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.alive.map((child) => this.end(child, 'SIGKILL')))
  }
}
