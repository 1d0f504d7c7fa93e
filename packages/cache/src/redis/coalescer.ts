import { toError, type Clock } from '@dharma/core'
import type { Cluster } from 'ioredis'
import { positionsByNode } from './node-batches.ts'
import type { RedisLink } from './redis-link.ts'

const MAX_BATCH = 512

/** What is made of the bytes under a name; `askedMs` is not after they were asked for, `nowMs` is now. */
type Take<Result> = (
  bytes: Buffer | null,
  askedMs: number,
  nowMs: number,
) => Result | PromiseLike<Result>

interface Batch {
  readonly askedMs: number
  readonly names: string[]
  readonly answers: ((bytes: Buffer | null, askedMs: number, nowMs: number) => void)[]
  readonly rejects: ((error: unknown) => void)[]
}

/**
 * Turns the single reads of one turn of the event loop into one `MGET`, or in a cluster into one
 * pipeline a node: two to three times the throughput of single reads, and no wait where there is one.
 */
export class Coalescer {
  readonly #link: RedisLink
  readonly #run: <Reply>(send: () => Promise<Reply>) => Promise<Reply>
  readonly #clock: Clock
  #batch: Batch | undefined

  /** @param run Applies deadline and breaker to one command. */
  constructor(
    link: RedisLink,
    run: <Reply>(send: () => Promise<Reply>) => Promise<Reply>,
    clock: Clock,
  ) {
    this.#link = link
    this.#run = run
    this.#clock = clock
  }

  /** What `take` makes of the bytes under a name, or of null. */
  get<Result>(name: string, take: Take<Result>): Promise<Result> {
    const batch = (this.#batch ??= this.#open())
    return new Promise((resolve, reject) => {
      batch.names.push(name)
      batch.answers.push((bytes, askedMs, nowMs) => {
        try {
          resolve(take(bytes, askedMs, nowMs))
        } catch (error) {
          reject(toError(error))
        }
      })
      batch.rejects.push(reject)
    })
  }

  /** The bytes under each name, read in one command (one a node in a cluster). */
  async getMany(names: readonly string[]): Promise<(Buffer | null)[]> {
    const { cluster } = this.#link
    if (cluster !== undefined) return this.#readCluster(cluster, names)
    if (names.length <= MAX_BATCH) return this.#readOne(names)
    const parts: Promise<(Buffer | null)[]>[] = []
    for (let from = 0; from < names.length; from += MAX_BATCH) {
      parts.push(this.#readOne(names.slice(from, from + MAX_BATCH)))
    }
    return (await Promise.all(parts)).flat()
  }

  #open(): Batch {
    // After every promise callback that is ready now: their reads belong to the same turn.
    queueMicrotask(() => process.nextTick(() => this.#flush()))
    return { askedMs: this.#clock.monotonicMs(), names: [], answers: [], rejects: [] }
  }

  #flush(): void {
    const batch = this.#batch
    this.#batch = undefined
    if (batch === undefined) return
    const { names, rejects } = batch
    const fail = (error: unknown): void => {
      for (const reject of rejects) reject(error)
    }
    const [only] = names
    if (names.length === 1 && only !== undefined) {
      const reply = this.#run(() => this.#link.client.getBuffer(only))
      reply.then((bytes) => this.#answer(batch, [bytes]), fail)
    } else {
      this.getMany(names).then((replies) => this.#answer(batch, replies), fail)
    }
  }

  #answer({ answers, askedMs }: Batch, replies: readonly (Buffer | null)[]): void {
    const nowMs = this.#clock.monotonicMs()
    for (let index = 0; index < answers.length; index++) {
      answers[index]?.(replies[index] ?? null, askedMs, nowMs)
    }
  }

  #readOne(names: readonly string[]): Promise<(Buffer | null)[]> {
    const { client } = this.#link
    return this.#run(() => client.mgetBuffer(names as string[]))
  }

  async #readCluster(client: Cluster, names: readonly string[]): Promise<(Buffer | null)[]> {
    const replies: (Buffer | null)[] = Array.from({ length: names.length }, () => null)
    await Promise.all(
      positionsByNode(this.#link, names).map((indexes) =>
        this.#run(() => readNode(client, names, indexes, replies)),
      ),
    )
    return replies
  }
}

async function readNode(
  client: Cluster,
  names: readonly string[],
  indexes: readonly number[],
  replies: (Buffer | null)[],
): Promise<void> {
  const nameAt = (index: number): string => names[index] as string
  const single = indexes.length === 1 ? indexes[0] : undefined
  if (single !== undefined) {
    replies[single] = await client.getBuffer(nameAt(single))
    return
  }
  const pipeline = client.pipeline()
  for (const index of indexes) pipeline.getBuffer(nameAt(index))
  const results = (await pipeline.exec()) ?? []
  await Promise.all(
    indexes.map(async (index, position) => {
      const [error, bytes] = results[position] ?? []
      // A slot that moves answers with a redirection, which single commands follow.
      replies[index] =
        error instanceof Error ? await client.getBuffer(nameAt(index)) : (bytes as Buffer | null)
    }),
  )
}
