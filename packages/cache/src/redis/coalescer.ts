import type { Cluster } from 'ioredis'
import { keySlot } from './key-slot.ts'
import type { RedisLink } from './redis-link.ts'

const MAX_BATCH = 512

interface Batch {
  readonly names: string[]
  readonly resolves: ((bytes: Buffer | null) => void)[]
  readonly rejects: ((error: unknown) => void)[]
}

/**
 * Turns the single reads of one turn of the event loop into one `MGET`, or in a cluster into one
 * pipeline a node: two to three times the throughput of single reads, and no wait where there is one.
 */
export class Coalescer {
  readonly #link: RedisLink
  readonly #run: <Reply>(send: () => Promise<Reply>) => Promise<Reply>
  #batch: Batch | undefined

  /** @param run Applies deadline and breaker to one command. */
  constructor(link: RedisLink, run: <Reply>(send: () => Promise<Reply>) => Promise<Reply>) {
    this.#link = link
    this.#run = run
  }

  /** The bytes under a name, or null. */
  get(name: string): Promise<Buffer | null> {
    const batch = (this.#batch ??= this.#open())
    return new Promise((resolve, reject) => {
      batch.names.push(name)
      batch.resolves.push(resolve)
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
    return { names: [], resolves: [], rejects: [] }
  }

  #flush(): void {
    const batch = this.#batch
    this.#batch = undefined
    if (batch === undefined) return
    void this.#answer(batch)
  }

  async #answer({ names, resolves, rejects }: Batch): Promise<void> {
    try {
      const replies = await this.getMany(names)
      for (const [index, resolve] of resolves.entries()) resolve(replies[index] ?? null)
    } catch (error) {
      for (const reject of rejects) reject(error)
    }
  }

  #readOne(names: readonly string[]): Promise<(Buffer | null)[]> {
    const { client } = this.#link
    return this.#run(() => client.mgetBuffer(names as string[]))
  }

  async #readCluster(client: Cluster, names: readonly string[]): Promise<(Buffer | null)[]> {
    const byNode = new Map<string, number[]>()
    for (const [index, name] of names.entries()) {
      const node = (client.slots[keySlot(name)] ?? []).join()
      const indexes = byNode.get(node)
      if (indexes === undefined) byNode.set(node, [index])
      else indexes.push(index)
    }
    const replies: (Buffer | null)[] = Array.from({ length: names.length }, () => null)
    await Promise.all(
      [...byNode.values()].map((indexes) =>
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
