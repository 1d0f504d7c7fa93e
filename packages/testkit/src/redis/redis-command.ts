import { Redis } from 'ioredis'
import type { Address } from '../test-server.ts'

const TIMEOUT_MS = 2000

/** Sends one command on a connection of its own; fails at once where nobody listens. */
export async function redisCommand(
  { host, port }: Address,
  command: string,
  ...args: readonly (string | number)[]
): Promise<unknown> {
  const redis = new Redis({
    host,
    port,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
  })
  // The failed call says it as well.
  redis.on('error', () => {})
  try {
    await redis.connect()
    return await redis.call(command, ...args)
  } finally {
    redis.disconnect()
  }
}

/** The value of a `name:value` line in an INFO-like reply. */
export function infoField(reply: unknown, name: string): string | undefined {
  const line = String(reply)
    .split('\r\n')
    .find((each) => each.startsWith(`${name}:`))
  return line?.slice(name.length + 1)
}
