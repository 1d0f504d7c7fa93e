import { PostgresManager } from '@dharma/database/postgres'
import { startPostgres, type TestServer } from '@dharma/testkit'
import { describeWithPostgres } from '@dharma/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Load } from './load.ts'

describeWithPostgres.each([15, 18])('autoscaling, PostgreSQL %i', (version) => {
  let server: TestServer

  beforeAll(async () => {
    const settings = { max_connections: 25, superuser_reserved_connections: 3 }
    server = await startPostgres({ dedicated: true, version, settings })
  })

  afterAll(async () => {
    await server.close()
  })

  function instance(applicationName: string, max = 2): PostgresManager {
    const pool = { max, autoscale: { serverShare: 0.9 } }
    return new PostgresManager({ url: server.url, applicationName, pool, pipeline: false })
  }

  it(
    'opens more sessions while callers wait, and leaves each instance its share',
    { timeout: 120_000 },
    async () => {
      await using first = instance('shop')
      const slow = (manager: PostgresManager) => () => manager.query('select pg_sleep(0.03)')
      const load = new Load(30, slow(first))
      // Of 22 places 19 are for the service, and two of them for what is no session of the pool.
      await expect.poll(() => first.stats().max, { timeout: 30_000 }).toBe(17)
      await using second = instance('shop', 2)
      const other = new Load(30, slow(second))
      await expect.poll(() => second.stats().scaling?.instances, { timeout: 20_000 }).toBe(2)
      await expect.poll(() => first.stats().size, { timeout: 20_000 }).toBeLessThanOrEqual(7)
      await expect.poll(() => second.stats().max, { timeout: 20_000 }).toBe(7)
      await Promise.all([load.end(), other.end()])
      expect([...load.errors, ...other.errors]).toEqual([])
      await second.close()
      const again = new Load(30, slow(first))
      await expect.poll(() => first.stats().max, { timeout: 30_000 }).toBe(17)
      await again.end()
      expect(again.errors).toEqual([])
    },
  )

  it('halves and answers all the same when others have taken the places', async () => {
    await using greedy = new PostgresManager({
      url: server.url,
      pipeline: false,
      pool: { min: 19, max: 19 },
    })
    await greedy.connect()
    await using crowded = instance('late', 8)
    const load = new Load(12, () => crowded.query('select pg_sleep(0.005)'))
    await expect.poll(() => load.answered, { timeout: 20_000 }).toBeGreaterThan(300)
    await expect.poll(() => crowded.stats().max, { timeout: 20_000 }).toBeLessThanOrEqual(4)
    await load.end()
    expect(load.errors).toEqual([])
  })

  it('tells a caller for whom no place comes free that there are too many connections', async () => {
    await using greedy = new PostgresManager({
      url: server.url,
      pipeline: false,
      pool: { min: 20, max: 25 },
    })
    await greedy.connect()
    // The superuser has three places more than others.
    const held = new Load(25, () => greedy.query('select pg_sleep(0.05)'))
    await expect.poll(() => greedy.stats().size, { timeout: 20_000 }).toBe(25)
    await using late = new PostgresManager({ url: server.url })
    const error = await late
      .query('select 1', [], { timeoutMs: 500 })
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'DHARMA_POSTGRES_CONNECTION', sqlState: '53300' })
    const waiting = late.query<{ one: number }>('select 1 as one')
    await held.end()
    await greedy.close()
    expect((await waiting).rows).toEqual([{ one: 1 }])
  })
})
