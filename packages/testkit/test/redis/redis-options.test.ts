import { startRedis } from '@dharma/testkit'
import { describe, expect, it } from 'vitest'
import { needsOwnServer, redisConfigText } from '../../src/redis/redis-options.ts'

const PLACE = { port: 7000, bind: '127.0.0.1', folder: '/data' }

describe('the options of a Redis', () => {
  it('become directives, a list as one for each', () => {
    const text = redisConfigText({ config: { maxmemory: '4mb', sentinel: ['a 1', 'b 2'] } }, PLACE)
    const lines = text.trim().split('\n')
    expect(lines).toContain('port 7000')
    expect(lines).toContain('save ""')
    expect(lines.slice(-3)).toEqual(['maxmemory 4mb', 'sentinel a 1', 'sentinel b 2'])
  })

  it('read a file first and leave persistence to it', () => {
    const text = redisConfigText({ configFile: '/etc/cache.conf' }, PLACE)
    expect(text.split('\n')[0]).toBe('include /etc/cache.conf')
    expect(text).not.toContain('save')
  })

  it('open only a TLS port where TLS is wanted', () => {
    const tls = { certFile: '/c', keyFile: '/k', caFile: '/ca' }
    const text = redisConfigText({ tls }, { ...PLACE, aclFile: '/users.acl' })
    expect(text).toContain('port 0\ntls-port 7000\n')
    expect(text).toContain('aclfile /users.acl')
  })

  it.each([
    [false, {}],
    [true, { dedicated: true }],
    [true, { config: {} }],
    [true, { users: [] }],
    [true, { configFile: '/x' }],
  ])('need a server of their own: %s for %o', (expected, options) => {
    expect(needsOwnServer(options)).toBe(expected)
  })

  it('are refused where the limit is too small', async () => {
    const starting = startRedis({ dedicated: true, readyTimeoutMs: 1 })
    await expect(starting).rejects.toThrow(
      new RangeError('readyTimeoutMs must be 100 or more, got 1'),
    )
  })
})
