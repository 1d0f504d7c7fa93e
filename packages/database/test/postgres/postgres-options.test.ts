import { describe, expect, it } from 'vitest'
import { resolvePostgresOptions } from '../../src/postgres/postgres-options.ts'

describe('the options', () => {
  const url = 'postgres://user:hunter2@127.0.0.1/db'

  it.each([
    ['replicas[0]', { replicas: ['mysql://user:hunter2@h/d'] }],
    ['url', { url: `${url}?sslmode=require`, tls: true }],
    ['pool.autoscale', { prepare: false, pool: { autoscale: true } }],
    ['pool.autoscale.max', { pool: { min: 5, autoscale: { max: 4 } } }],
    ['pool.autoscale.serverShare', { pool: { autoscale: { serverShare: 1.5 } } }],
  ])('name %s where it is wrong, and show no secret', (option, options) => {
    const resolve = (): unknown => resolvePostgresOptions({ url, ...options })
    expect(resolve).toThrow(option)
    expect(resolve).not.toThrow('hunter2')
  })

  it('tell instances of a service apart by a name that the server can hold', () => {
    const one = resolvePostgresOptions({
      url,
      applicationName: 'é'.repeat(80),
      pool: { autoscale: true },
    })
    const two = resolvePostgresOptions({ url, pool: { autoscale: {} } })
    expect(one.applicationName).toMatch(/^\?{54}#[0-9a-f]{8}$/)
    expect(two.applicationName).toMatch(/^postgres#[0-9a-f]{8}$/)
    expect(resolvePostgresOptions({ url }).applicationName).toBeUndefined()
  })
})
