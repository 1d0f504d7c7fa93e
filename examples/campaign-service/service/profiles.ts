import type { Cache, PolicyCache } from '@dharma/cache'
import { definePolicy } from '@dharma/cache/policies'
import { sql, type PostgresManager } from '@dharma/database/postgres'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'

export interface Profile {
  readonly id: number
  readonly handle: string
  readonly displayName: string
  readonly city: string | null
  readonly followers: number
  readonly topics: readonly string[]
}

// #region policy
/** A profile changes seldom and is read all the time; a change deletes its entry, in every process. */
const profilePolicy = definePolicy<Profile | undefined>()({
  name: 'profile',
  key: (id: number) => id,
  ttlMs: 10 * 60_000,
  staleMs: 60_000,
})
// #endregion

const params = z.object({ id: z.coerce.number().int().positive() })
const query = z.object({ cache: z.enum(['on', 'off']).default('on') })
const update = z.object({ displayName: z.string().min(1).max(80) })

/** Profiles, read through the cache. `?cache=off` asks the database, for comparison. */
export class Profiles {
  readonly #postgres: PostgresManager
  readonly #cache: PolicyCache<Profile | undefined, number>

  constructor(postgres: PostgresManager, cache: Cache) {
    this.#postgres = postgres
    this.#cache = cache.for(profilePolicy)
  }

  register(app: FastifyInstance): void {
    app.get('/profiles/:id', async (request, reply) => {
      const { id } = params.parse(request.params)
      const isCached = query.parse(request.query).cache === 'on'
      const profile = isCached ? await this.get(id) : await this.#load(id)
      return profile ?? reply.code(404).send({ error: 'no such profile' })
    })
    app.put('/profiles/:id', async (request, reply) => {
      const { id } = params.parse(request.params)
      const { displayName } = update.parse(request.body)
      await this.#postgres.query(
        sql`update profiles set display_name = ${displayName} where id = ${id}`,
      )
      await this.#cache.delete(id)
      return reply.code(204).send()
    })
  }

  // #region query
  get(id: number): Promise<Profile | undefined> {
    return this.#cache.getOrLoad(id, () => this.#load(id))
  }

  async #load(id: number): Promise<Profile | undefined> {
    const { rows } = await this.#postgres.query<Profile>(sql`
      select p.id, p.handle, p.display_name as "displayName", a.city,
             (select count(*)::int from follows f where f.followee = p.id) as followers,
             p.attributes->'topics' as topics
      from profiles p left join airports a on a.iata = p.home_airport
      where p.id = ${id}`)
    return rows[0]
  }
  // #endregion
}
