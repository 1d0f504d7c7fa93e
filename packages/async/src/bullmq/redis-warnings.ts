import type { Redis } from 'ioredis'

/** What endangers jobs in this Redis, in words. By `INFO`, which managed services allow too. */
export async function redisWarnings(redis: Redis): Promise<string[]> {
  const [persistence, memory] = await Promise.all([redis.info('persistence'), redis.info('memory')])
  const warnings: string[] = []
  if (fieldOf(persistence, 'aof_enabled') === '0') {
    warnings.push(
      'this Redis writes no append-only file, so jobs that it has acknowledged are lost when it ends: set `appendonly yes`',
    )
  }
  const policy = fieldOf(memory, 'maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(
      `this Redis may evict jobs when its memory is full (maxmemory-policy ${policy}): set \`maxmemory-policy noeviction\``,
    )
  }
  return warnings
}

function fieldOf(info: string, name: string): string | undefined {
  const line = info.split('\r\n').find((each) => each.startsWith(`${name}:`))
  return line?.slice(name.length + 1)
}
