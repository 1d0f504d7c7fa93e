import { Redis } from 'ioredis'
import { ServerStartError, startRedis } from '@dharma/testkit'
import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'

describeWithRedis('a Redis of its own', () => {
  it('has the directives and the users that it was given', async () => {
    await using server = await startRedis({
      config: { maxmemory: '8mb' },
      users: ['user reader on >secret ~cache:* +get +ping'],
    })
    const admin = new Redis(server.url)
    expect(await admin.config('GET', 'maxmemory')).toEqual(['maxmemory', '8388608'])
    const reader = new Redis(server.port, {
      username: 'reader',
      password: 'secret',
      enableReadyCheck: false,
    })
    await expect(reader.set('cache:a', '1')).rejects.toThrow(/NOPERM/u)
    admin.disconnect()
    reader.disconnect()
  })

  it('counts as up when it asks everybody for a password', async () => {
    await using server = await startRedis({ config: { requirepass: 'secret' } })
    expect(server.state).toBe('running')
  })

  it('says what the server said when it does not start', async () => {
    const error = await startRedis({ config: { 'no-such-directive': 1 } }).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ServerStartError)
    expect(error).toMatchObject({ code: 'DHARMA_TESTKIT_SERVER_START' })
    expect(error.log).toContain('no-such-directive')
  })

  it('is not started when the signal has aborted', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(startRedis({ dedicated: true, signal })).rejects.toThrow('enough')
  })
})
