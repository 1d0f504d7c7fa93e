import { createAsyncManager } from '@dharma/async/async-manager'
import { defineTask, type Task, type TaskQueue } from '@dharma/async/task-queue'
import type { MongoManager } from '@dharma/database/mongodb'
import { sql, type PostgresManager } from '@dharma/database/postgres'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'

interface Post {
  readonly text: string
}

interface Score {
  readonly profileId: number
  /** From 0, a person, to 1, a bot. */
  readonly score: number
}

const input = z.object({ profileId: z.number().int().positive() })
const body = z.object({ profileIds: z.array(z.number().int().positive()).min(1).max(2_000) })
/** Results awaited at once: each costs a look at its job. */
const AWAITED_AT_ONCE = 64

// #region task
/** The task that tells bots from people by how much they repeat themselves. */
export function defineScoring(
  postgres: PostgresManager,
  mongo: MongoManager,
): Task<z.input<typeof input>, Score> {
  return defineTask({
    name: 'profiles.score-bot',
    queue: 'scoring',
    input,
    timeoutMs: 10_000,
    run: async ({ profileId }): Promise<Score> => {
      const posts = await mongo.find<Post>(
        'posts',
        { profileId },
        { projection: { text: 1 }, limit: 200 },
      )
      const score = repetition(posts.map(({ text }) => text))
      await postgres.query(sql`
        insert into bot_scores values (${profileId}, ${score}, now())
        on conflict (profile_id) do update set score = excluded.score, scored_at = excluded.scored_at`)
      return { profileId, score }
    },
  })
}
// #endregion

/** `POST /scores` enqueues a task for each profile and answers with all scores. */
export function registerScoring(
  app: FastifyInstance,
  queue: TaskQueue,
  task: Task<z.input<typeof input>, Score>,
): void {
  const manager = createAsyncManager()
  app.addHook('onClose', () => manager.close())
  app.post('/scores', async (request) => {
    const { profileIds } = body.parse(request.body)
    const jobs = await queue.enqueueMany(
      task,
      profileIds.map((profileId) => ({ profileId })),
    )
    return manager.mapBatch(jobs, (job) => job.result({ timeoutMs: 60_000 }), {
      concurrency: AWAITED_AT_ONCE,
    })
  })
}

/** The share of texts that say the same as another one; 0 for fewer than two. */
function repetition(texts: readonly string[]): number {
  if (texts.length < 2) return 0
  return 1 - (new Set(texts).size - 1) / (texts.length - 1)
}
