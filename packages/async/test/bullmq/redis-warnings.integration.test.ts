import { bullmqRedis } from '@dharma/async/bullmq'
import { createTaskQueue } from '@dharma/async/task-queue'
import { silentLogger, type Logger } from '@dharma/core'
import { startRedis, type RedisOptions } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'

const UNSAFE = { appendonly: 'no', 'maxmemory-policy': 'allkeys-lru', maxmemory: '64mb' }
const SAFE = { appendonly: 'yes', 'maxmemory-policy': 'noeviction', maxmemory: '64mb' }

describeWithRedis('A Redis that endangers jobs', () => {
  /** What a queue on such a server has told its logger by the time it is closed, and its health. */
  async function toldOf(config: NonNullable<RedisOptions['config']>) {
    await using server = await startRedis({ config })
    const lines: string[] = []
    const logger: Logger = {
      ...silentLogger,
      warn: (_fields: object | string, message?: unknown) => void lines.push(String(message)),
    }
    const queue = createTaskQueue({ engine: bullmqRedis({ connection: server.url }), logger })
    const health = await queue.healthCheck().check(new AbortController().signal)
    await queue.close()
    return { lines, health }
  }

  it('is reported to the logger at start, and by the health check', async () => {
    const { lines, health } = await toldOf(UNSAFE)
    expect(lines).toEqual([
      expect.stringContaining('appendonly yes'),
      expect.stringContaining('maxmemory-policy allkeys-lru'),
    ])
    expect(health).toMatchObject({ status: 'degraded', reason: lines.join('; ') })
  })

  it.each([
    ['appendonly yes', { ...SAFE, appendonly: 'no' }],
    ['maxmemory-policy volatile-ttl', { ...SAFE, 'maxmemory-policy': 'volatile-ttl' }],
  ])('is told apart by what is wrong: %s', async (text, config) => {
    expect((await toldOf(config)).lines).toEqual([expect.stringContaining(text)])
  })

  it('is none with an append-only file and without eviction', async () => {
    expect(await toldOf(SAFE)).toEqual({ lines: [], health: true })
  })
})
