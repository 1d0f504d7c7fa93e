import { FaultUnsupportedError, startMongo, startRedis } from '@dharma/testkit'
import { describe, expect, it, vi } from 'vitest'
import { environmentUrl } from '../../src/lookup/environment-server.ts'

const PROXY = { host: '127.0.0.1', port: 9 }

describe('a server that the environment names', () => {
  it('is used as it is', async () => {
    vi.stubEnv('DHARMA_TEST_REDIS_URL', 'redis://someone:secret@cache.example:7000/2')
    const server = await startRedis()
    expect(server).toMatchObject({
      origin: 'environment',
      url: 'redis://someone:secret@cache.example:7000/2',
      host: 'cache.example',
      port: 7000,
      pid: undefined,
      state: 'running',
    })
    expect(server.urlThrough(PROXY)).toBe('redis://someone:secret@127.0.0.1:9/2')
  })

  it('has the usual port where the URL names none', async () => {
    vi.stubEnv('DHARMA_TEST_REDIS_URL', 'redis://cache.example')
    expect((await startRedis()).port).toBe(6379)
  })

  it('is reached directly through a proxy where it is a replica set', async () => {
    vi.stubEnv('DHARMA_TEST_MONGODB_URL', 'mongodb://db.example/?replicaSet=rs0&w=1')
    const server = await startMongo()
    expect(server.urlThrough(PROXY)).toBe('mongodb://127.0.0.1:9/?w=1&directConnection=true')
  })

  it.each(['kill', 'stop', 'cont', 'restart'] as const)('cannot be broken by %s', async (fault) => {
    vi.stubEnv('DHARMA_TEST_REDIS_URL', 'redis://cache.example')
    await using server = await startRedis()
    const error = await server[fault]().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(FaultUnsupportedError)
    expect(error).toMatchObject({
      code: 'DHARMA_TESTKIT_FAULT_UNSUPPORTED',
      fault,
      origin: 'environment',
    })
  })

  it('is closed without an effect on the server', async () => {
    vi.stubEnv('DHARMA_TEST_REDIS_URL', 'redis://cache.example')
    const server = await startRedis()
    await server.close()
    expect(server.state).toBe('closed')
  })

  it('counts as none where the variable is empty', () => {
    vi.stubEnv('DHARMA_TEST_POSTGRES_URL', '')
    expect(environmentUrl('postgres')).toBeUndefined()
  })
})
