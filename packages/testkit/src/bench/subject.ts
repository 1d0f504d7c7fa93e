import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Bench, BenchContext, Figures } from './define-bench.ts'

type Reply = { ready: true } | { figures: Figures } | { error: string }

/** A subject in its process, idle between turns. */
export class SubjectProcess {
  readonly name: string
  readonly rounds: Figures[] = []
  readonly #child: ChildProcess

  private constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
  }

  static async start(
    file: string,
    bench: Bench,
    name: string,
    context: BenchContext,
  ): Promise<SubjectProcess> {
    const child = fork(
      fileURLToPath(new URL('./subject-process.ts', import.meta.url)),
      [file, bench.name, name],
      {
        execArgv: ['--conditions=@dharma/source', '--expose-gc', ...(bench.nodeArguments ?? [])],
        env: { ...process.env, DHARMA_BENCH_CONTEXT: JSON.stringify(context) },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    )
    const subject = new SubjectProcess(name, child)
    await subject.#reply()
    return subject
  }

  /** One turn, not counted: lets the engine compile and caches fill. */
  async warmUp(budgetMs: number): Promise<void> {
    await this.#turn(budgetMs)
  }

  async takeTurn(budgetMs: number): Promise<void> {
    this.rounds.push(await this.#turn(budgetMs))
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.send('close')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }

  async #turn(budgetMs: number): Promise<Figures> {
    this.#child.send({ budgetMs })
    const reply = await this.#reply()
    return 'figures' in reply ? reply.figures : {}
  }

  async #reply(): Promise<Reply> {
    const ended = new AbortController()
    try {
      const reply = await Promise.race([
        once(this.#child, 'message', { signal: ended.signal }).then(
          ([message]) => message as Reply,
        ),
        once(this.#child, 'exit', { signal: ended.signal }).then(([code]): Reply => {
          return { error: `its process ended with ${String(code)}` }
        }),
      ])
      if ('error' in reply) throw new Error(`subject '${this.name}': ${reply.error}`)
      return reply
    } finally {
      ended.abort()
    }
  }
}
