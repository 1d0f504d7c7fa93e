import { keySlot } from './key-slot.ts'
import type { RedisLink } from './redis-link.ts'
import type { RedisRunner, ScriptArgument } from './redis-runner.ts'
import type { ScriptName } from './scripts.ts'

/** One run of a script. */
export interface ScriptCall {
  readonly keys: readonly [string, ...string[]]
  readonly parameters: readonly ScriptArgument[]
}

/** Positions of the names, by the node that has their slots; all together where there is no cluster. */
export function positionsByNode({ cluster }: RedisLink, names: readonly string[]): number[][] {
  if (cluster === undefined) return [[...names.keys()]]
  const byNode = new Map<string, number[]>()
  for (const [position, name] of names.entries()) {
    const node = (cluster.slots[keySlot(name)] ?? []).join()
    const positions = byNode.get(node)
    if (positions === undefined) byNode.set(node, [position])
    else positions.push(position)
  }
  return [...byNode.values()]
}

/**
 * Runs a script many times, in one pipeline a node, and gives the replies in the order of the calls.
 * @throws when one of them fails; others may have been carried out then.
 */
export async function runScripts(
  runner: RedisRunner,
  name: ScriptName,
  calls: readonly ScriptCall[],
): Promise<unknown[]> {
  const replies: unknown[] = Array.from({ length: calls.length })
  const first = calls[0]
  if (calls.length === 1 && first !== undefined) {
    return [await runner.script(name, first.keys, first.parameters)]
  }
  const names = calls.map(({ keys }) => keys[0])
  await Promise.all(
    positionsByNode(runner.link, names).map(async (positions) => {
      const wanted = positions.map((position) => calls[position] as ScriptCall)
      const results = await runner.run(() => sendPipeline(runner.link, name, wanted))
      await Promise.all(
        wanted.map(async ({ keys, parameters }, index) => {
          const [error, reply] = results[index] ?? []
          // A slot that moves answers with a redirection, which single commands follow.
          replies[positions[index] as number] =
            error instanceof Error ? await runner.script(name, keys, parameters) : reply
        }),
      )
    }),
  )
  return replies
}

type Pipeline = Readonly<
  Record<`${ScriptName}Buffer`, (keyCount: number, ...parameters: ScriptArgument[]) => unknown>
>

async function sendPipeline(
  { client }: RedisLink,
  name: ScriptName,
  calls: readonly ScriptCall[],
): Promise<[error: Error | null, reply: unknown][]> {
  const pipeline = client.pipeline()
  const commands = pipeline as unknown as Pipeline
  for (const { keys, parameters } of calls) {
    commands[`${name}Buffer` as const](keys.length, ...keys, ...parameters)
  }
  const results = (await pipeline.exec()) ?? []
  for (const [error] of results) {
    if (error !== null && !/^(?:MOVED|ASK|TRYAGAIN) /.test(error.message)) throw error
  }
  return results
}
