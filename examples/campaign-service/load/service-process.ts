import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface ServiceUrls {
  readonly postgres: string
  readonly mongo: string
  readonly redis: string
}

/** The service in a process of its own, so that the load does not share its event loop. */
export class ServiceProcess implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(urls: ServiceUrls, port: number): Promise<ServiceProcess> {
    const child = fork(fileURLToPath(new URL('../service/main.ts', import.meta.url)), [], {
      execArgv: ['--conditions=@dharma/source'],
      env: {
        ...process.env,
        DHARMA_CAMPAIGNS_POSTGRES_URL: urls.postgres,
        DHARMA_CAMPAIGNS_MONGO_URL: urls.mongo,
        DHARMA_CAMPAIGNS_REDIS_URL: urls.redis,
        DHARMA_CAMPAIGNS_PORT: String(port),
      },
    })
    const stopped = new AbortController()
    const ended = once(child, 'exit', { signal: stopped.signal }).then(([code]) => {
      throw new Error(`the service ended with ${String(code)} before it listened`)
    })
    const ready = once(child, 'message', { signal: stopped.signal }).then(([message]) => {
      return (message as { url: string }).url
    })
    try {
      return new ServiceProcess(child, await Promise.race([ready, ended]))
    } finally {
      // Of the two waits one is left over; its rejection says only that it was ended here.
      ended.catch(ignoreOwnAbort)
      ready.catch(ignoreOwnAbort)
      stopped.abort()
    }
  }

  /** Ends it as an orchestrator would: SIGTERM, and SIGKILL after ten seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(timer)
  }
}

function ignoreOwnAbort(): void {}
