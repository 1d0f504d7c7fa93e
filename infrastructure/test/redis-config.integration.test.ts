import { glob, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { startRedis } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'

const UNITS: Readonly<Record<string, number>> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }
const files = (await Array.fromAsync(glob('infrastructure/redis/*.conf'))).toSorted()

describeWithRedis('configuration of Redis', () => {
  it.each(files)('%s is what a server started from it uses', async (file) => {
    await using server = await startRedis({ configFile: resolve(file) })
    const redis = new Redis(server.url)
    try {
      for (const [directive, values] of await directivesOf(file)) {
        const [, actual] = (await redis.config('GET', directive)) as [string, string]
        // The server answers with the older word.
        const stored = `${directive} ${actual.replaceAll('slave', 'replica')}`
        for (const value of values) expect(stored).toContain(value)
      }
    } finally {
      redis.disconnect()
    }
  })

  it('refuses jobs rather than dropping one when the queue is full', async () => {
    await using server = await startRedis({
      configFile: resolve('infrastructure/redis/queue.conf'),
      config: { maxmemory: '3mb' },
    })
    const redis = new Redis(server.url)
    try {
      const value = 'x'.repeat(10_000)
      const fill = async (): Promise<void> => {
        for (let index = 0; index < 1_000; index++) await redis.set(`job:${index}`, value)
      }
      await expect(fill()).rejects.toThrow('OOM')
      expect(await redis.get('job:0')).toBe(value)
    } finally {
      redis.disconnect()
    }
  })

  it('makes room in a full cache without an error', async () => {
    await using server = await startRedis({
      configFile: resolve('infrastructure/redis/cache.conf'),
      config: { maxmemory: '3mb' },
    })
    const redis = new Redis(server.url)
    try {
      const value = 'x'.repeat(10_000)
      for (let index = 0; index < 1_000; index++) await redis.set(`entry:${index}`, value)
      expect(await redis.dbsize()).toBeLessThan(1_000)
    } finally {
      redis.disconnect()
    }
  })
})

/** Directives and the values that a file gives them, as `CONFIG GET` writes them. */
async function directivesOf(file: string): Promise<Map<string, string[]>> {
  const directives = new Map<string, string[]>()
  for (const line of (await readFile(file, 'utf8')).split('\n')) {
    const [name = '', ...words] = line.trim().split(/\s+/)
    if (name === '' || name.startsWith('#')) continue
    const value = words.map(inBytes).join(' ').replaceAll('"', '')
    directives.set(name, [...(directives.get(name) ?? []), value])
  }
  return directives
}

function inBytes(word: string): string {
  const [, digits, unit = ''] = /^(\d+)(kb|mb|gb)$/.exec(word) ?? []
  return digits === undefined ? word : String(Number(digits) * (UNITS[unit] ?? 1))
}
