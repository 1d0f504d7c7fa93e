import type { Cache } from '@dharma/cache'
import type { MongoManager } from '@dharma/database/mongodb'
import { sql, type PostgresManager } from '@dharma/database/postgres'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'

interface CampaignSummary {
  readonly id: number
  readonly name: string
  readonly posts: number
  readonly likes: number
}

const params = z.object({ id: z.coerce.number().int().positive() })
const query = z.object({ cache: z.enum(['on', 'off']).default('on') })
const posts = z.array(
  z.object({
    profileId: z.number().int().positive(),
    text: z.string().max(500),
    likes: z.number().int().min(0).default(0),
  }),
)

/** Campaigns in PostgreSQL, their posts in MongoDB; a summary lives until a post is added. */
export class Campaigns {
  readonly #postgres: PostgresManager
  readonly #mongo: MongoManager
  readonly #cache: Cache

  constructor(postgres: PostgresManager, mongo: MongoManager, cache: Cache) {
    this.#postgres = postgres
    this.#mongo = mongo
    this.#cache = cache
  }

  register(app: FastifyInstance): void {
    app.get('/campaigns/:id/summary', async (request, reply) => {
      const { id } = params.parse(request.params)
      const isCached = query.parse(request.query).cache === 'on'
      const summary = isCached ? await this.#summary(id) : await this.#summarize(id)
      return summary ?? reply.code(404).send({ error: 'no such campaign' })
    })
    app.post('/campaigns/:id/posts', async (request, reply) => {
      const { id } = params.parse(request.params)
      const added = posts.parse(request.body).map((post) => ({
        campaignId: id,
        createdAt: new Date(),
        profileId: post.profileId,
        text: post.text,
        likes: post.likes,
      }))
      const { inserted, failed } = await this.#mongo.insertMany('posts', added)
      await this.#cache.invalidateTags([tagOf(id)])
      return reply.code(201).send({ inserted, failed: failed.length })
    })
  }

  #summary(id: number): Promise<CampaignSummary | undefined> {
    return this.#cache.getOrLoad(`campaign:${id}:summary`, () => this.#summarize(id), {
      ttlMs: 300_000,
      tags: [tagOf(id)],
    })
  }

  async #summarize(id: number): Promise<CampaignSummary | undefined> {
    const [campaigns, [totals]] = await Promise.all([
      this.#postgres.query<{ name: string }>(sql`select name from campaigns where id = ${id}`),
      this.#mongo.aggregate<{ posts: number; likes: number }>('posts', [
        { $match: { campaignId: id } },
        { $group: { _id: null, posts: { $sum: 1 }, likes: { $sum: '$likes' } } },
      ]),
    ])
    const campaign = campaigns.rows[0]
    if (campaign === undefined) return undefined
    return { id, name: campaign.name, posts: totals?.posts ?? 0, likes: totals?.likes ?? 0 }
  }
}

function tagOf(campaignId: number): string {
  return `campaign:${campaignId}`
}
