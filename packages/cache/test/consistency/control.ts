import type { Address } from '@dharma/testkit'
import { Redis } from 'ioredis'

/** Runs commands on a server over a connection of its own, past every proxy. */
export async function onServer<Result>(
  { host, port }: Address,
  run: (redis: Redis) => Promise<Result>,
): Promise<Result> {
  const redis = new Redis({
    host,
    port,
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 5_000,
    retryStrategy: () => null,
  })
  // The command that fails says it as well.
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return await run(redis)
  } finally {
    redis.disconnect()
  }
}

/** Names of a server's keys that match a glob. */
export async function keysOf(redis: Redis, match: string): Promise<string[]> {
  const names: string[] = []
  let cursor = '0'
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', match, 'COUNT', 1_000)
    cursor = next
    names.push(...found)
  } while (cursor !== '0')
  return names
}
