import type { StartedTestContainer } from 'testcontainers'
import type { ServerRuntime } from '../process/server-runtime.ts'

/** A server in a container. */
export interface ContainerSpec {
  readonly image: string
  /** On the host and in the container alike, so that a server which names its own address is right on both sides. */
  readonly port: number
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Contents of files to put into it, by path. */
  readonly files?: Readonly<Record<string, string>>
}

const LOG_TAIL_LINES = 15

/** The runtime of a container; loads the container library only now. */
export async function startContainer(
  spec: ContainerSpec,
): Promise<ServerRuntime & { readonly host: string }> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  const client = await getContainerRuntimeClient()
  return new ContainerRuntime(spec, client.info.containerRuntime.host)
}

class ContainerRuntime implements ServerRuntime {
  readonly host: string
  /** The process belongs to the engine, perhaps on another machine. */
  readonly pid: undefined
  readonly #spec: ContainerSpec
  #container: StartedTestContainer | undefined
  #isRunning = false

  constructor(spec: ContainerSpec, host: string) {
    this.#spec = spec
    this.host = host
  }

  get hasEnded(): boolean {
    return !this.#isRunning
  }

  async launch(): Promise<void> {
    if (this.#container === undefined) this.#container = await this.#create()
    else await (await this.#handle()).start()
    this.#isRunning = true
  }

  async kill(): Promise<void> {
    if (!this.#isRunning) return
    await (await this.#handle()).kill({ signal: 'SIGKILL' })
    this.#isRunning = false
  }

  async terminate(): Promise<void> {
    if (!this.#isRunning) return
    await (await this.#handle()).stop({ t: 10 })
    this.#isRunning = false
  }

  async pause(): Promise<void> {
    await (await this.#handle()).pause()
  }

  async resume(): Promise<void> {
    await (await this.#handle()).unpause()
  }

  async wipe(): Promise<void> {
    await this.#remove()
  }

  async dispose(): Promise<void> {
    await this.#remove()
  }

  async readLog(): Promise<string> {
    if (this.#container === undefined) return ''
    const stream = await this.#container.logs({ tail: LOG_TAIL_LINES })
    const chunks: string[] = []
    stream.on('data', (chunk: Buffer | string) => chunks.push(chunk.toString()))
    await new Promise((resolve) => stream.once('end', resolve))
    return chunks.join('').trimEnd()
  }

  async #remove(): Promise<void> {
    if (this.#container === undefined) return
    await (await this.#handle()).remove({ force: true, v: true })
    this.#container = undefined
    this.#isRunning = false
  }

  async #create(): Promise<StartedTestContainer> {
    const { GenericContainer, Wait } = await import('testcontainers')
    const { image, port, command, env = {}, files = {} } = this.#spec
    return (
      new GenericContainer(image)
        .withCommand([...command])
        .withEnvironment(env)
        .withCopyContentToContainer(
          Object.entries(files).map(([target, content]) => ({ content, target, mode: 0o644 })),
        )
        .withExposedPorts({ container: port, host: port })
        // Readiness is the server's own probe; the engine only has to have started it.
        .withWaitStrategy(Wait.forListeningPorts())
        .start()
    )
  }

  async #handle(): Promise<EngineContainer> {
    const { getContainerRuntimeClient } = await import('testcontainers')
    const client = await getContainerRuntimeClient()
    const id = this.#container?.getId() ?? ''
    return client.container.getById(id)
  }
}

/** What is used of the engine's own handle of a container. */
interface EngineContainer {
  start(): Promise<unknown>
  kill(options: { readonly signal: string }): Promise<unknown>
  stop(options: { readonly t: number }): Promise<unknown>
  pause(): Promise<unknown>
  unpause(): Promise<unknown>
  remove(options: { readonly force: boolean; readonly v: boolean }): Promise<unknown>
}
