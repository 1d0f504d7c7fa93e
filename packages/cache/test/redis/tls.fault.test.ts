import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createCache } from '@dharma/cache'
import { startRedis, uniqueName, type TestServer } from '@dharma/testkit'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RedisLink } from '../../src/redis/redis-link.ts'
import { eventually, openCaches } from '../cache/shared-cache.ts'

const run = promisify(execFile)
let folder: string
let redis: TestServer
let ca: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dharma-tls-'))
  const keyFile = join(folder, 'key.pem')
  const certFile = join(folder, 'cert.pem')
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 ' +
    '-subj /CN=dharma-test -addext subjectAltName=IP:127.0.0.1'
  await run('openssl', [...request.split(' '), '-keyout', keyFile, '-out', certFile])
  ca = await readFile(certFile, 'utf8')
  redis = await startRedis({ tls: { certFile, keyFile, caFile: certFile } })
})
afterAll(async () => {
  await redis.close()
  await rm(folder, { recursive: true })
})

describe('TLS', () => {
  it('both connections of a cache use it, with an authority of its own', async () => {
    expect(redis.url).toMatch(/^rediss:/u)
    const [one, other] = await openCaches(2, {
      namespace: uniqueName('cache'),
      redis: { mode: 'standalone', url: redis.url, tls: { ca } },
    })
    await one?.set('k', 'old')
    expect(await other?.get('k')).toBe('old')
    await one?.delete('k')
    // Heard over the second connection, the one that reads the log.
    await eventually(() => other?.peek('k') === undefined)
    expect(await other?.getOrLoad('k', () => 'new')).toBe('new')
  })

  it('host and port do as well as a URL', async () => {
    const { host, port } = redis
    const [cache] = await openCaches(1, {
      namespace: uniqueName('cache'),
      redis: { mode: 'standalone', host, port, tls: { ca } },
    })
    expect(await cache?.set('k', 1)).toEqual({ status: 'done' })
  })

  it('a certificate that nobody vouches for is refused, and said to be the reason', async () => {
    const errors: unknown[] = []
    const cache = createCache({
      namespace: uniqueName('cache'),
      redis: redis.url,
      onError: (error) => errors.push(error),
    })
    onTestFinished(() => cache.close())
    await eventually(() =>
      errors.some((error) => String(error).includes('self-signed certificate')),
    )
    expect(await cache.getOrLoad('k', () => 'loaded')).toBe('loaded')
    expect(await cache.set('k', 1)).toEqual({ status: 'pending' })
  })

  it('sentinels and what they name are never spoken to in the clear', async () => {
    const errors: unknown[] = []
    const { host, port } = redis
    const link = RedisLink.open(
      { mode: 'sentinel', name: 'm', sentinels: [{ host, port }], tls: { ca } },
      (error) => errors.push(error),
    )
    onTestFinished(() => link.close())
    // What is asked is no sentinel, and says so: it was reached over TLS, and by this authority.
    await eventually(() =>
      errors.some((error) => /unknown command.*sentinel/iu.test(String(error))),
    )
    expect(link.client.options).toMatchObject({ enableTLSForSentinelMode: true, tls: { ca } })
  })
})
