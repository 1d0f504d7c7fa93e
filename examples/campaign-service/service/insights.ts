import type { Cache } from '@dharma/cache'
import { sql, type PostgresManager } from '@dharma/database/postgres'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'

interface DelayInsight {
  readonly flights: number
  readonly meanDelay: number
  readonly late: number
}

const query = z.object({
  distance: z.coerce.number().int().min(0).max(5_000),
  cache: z.enum(['on', 'off']).default('on'),
})

/** How late flights of a distance are: a heavy question whose answer may be an hour old. */
export function registerInsights(
  app: FastifyInstance,
  postgres: PostgresManager,
  cache: Cache,
): void {
  const load = async (distance: number): Promise<DelayInsight | undefined> => {
    const { rows } = await postgres.query<DelayInsight>(sql`
      select count(*)::int as flights, coalesce(avg(delay), 0)::float8 as "meanDelay",
             count(*) filter (where delay > 15)::int as late
      from flights where distance between ${distance} and ${distance + 250}`)
    return rows[0]
  }
  app.get('/insights/delays', async (request) => {
    const { distance, cache: mode } = query.parse(request.query)
    if (mode === 'off') return load(distance)
    return cache.getOrLoad(`delays:${distance}`, () => load(distance), { ttlMs: 3_600_000 })
  })
}
