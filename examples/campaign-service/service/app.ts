import { bullmqRedis } from '@dharma/async/bullmq'
import { createTaskQueue } from '@dharma/async/task-queue'
import { createCache } from '@dharma/cache'
import { loadConfig } from '@dharma/core/config'
import { createHealth } from '@dharma/core/health'
import { probePlugin } from '@dharma/core/http'
import { createLifecycle, type Lifecycle } from '@dharma/core/lifecycle'
import { createMetrics } from '@dharma/core/metrics'
import { MongoManager } from '@dharma/database/mongodb'
import { PostgresManager } from '@dharma/database/postgres'
import fastify from 'fastify'
import { ZodError } from 'zod'
import { Campaigns } from './campaigns.ts'
import { campaignConfig } from './config.ts'
import { registerInsights } from './insights.ts'
import { Profiles } from './profiles.ts'
import { defineScoring, registerScoring } from './scoring.ts'

export interface RunningService {
  readonly url: string
  readonly lifecycle: Lifecycle
}

/** Connects everything, listens, and takes itself down in order on SIGTERM and SIGINT. */
export async function startService(): Promise<RunningService> {
  const config = loadConfig(campaignConfig)
  const metrics = createMetrics()
  const health = createHealth({ metrics })
  const lifecycle = createLifecycle({ health, limits: { waitMs: 0 } })
  const redis = config.redisUrl.reveal()

  const postgres = lifecycle.use(
    new PostgresManager({
      url: config.postgresUrl.reveal(),
      applicationName: 'campaigns',
      metrics,
    }),
  )
  const mongo = lifecycle.use(
    new MongoManager({ url: config.mongoUrl.reveal(), database: 'campaigns', metrics }),
  )
  const cache = lifecycle.use(createCache({ namespace: 'campaigns', redis, metrics }))
  const queue = lifecycle.use(
    createTaskQueue({ engine: bullmqRedis({ connection: redis, prefix: 'campaigns' }), metrics }),
  )
  await Promise.all([postgres.connect(), mongo.connect()])
  health.register({ name: 'postgres', kind: 'readiness', check: () => postgres.ping().then(isUp) })
  health.register({ name: 'mongo', kind: 'readiness', check: () => mongo.ping().then(isUp) })

  const app = fastify({ forceCloseConnections: true })
  app.setErrorHandler((error, _request, reply) => {
    const isWrongInput = error instanceof ZodError
    const message = error instanceof Error ? error.message : 'unknown error'
    return reply.code(isWrongInput ? 400 : 500).send({ error: message })
  })
  await app.register(probePlugin, { health, metrics })
  const scoring = defineScoring(postgres, mongo)
  new Profiles(postgres, cache).register(app)
  new Campaigns(postgres, mongo, cache).register(app)
  registerInsights(app, postgres, cache)
  registerScoring(app, queue, scoring)
  queue.work([scoring], { concurrency: 16 })

  lifecycle.on('stopAccepting', 'http', () => app.close())
  lifecycle.on('flush', 'health', () => health.close())
  lifecycle.install()
  const url = await app.listen({ host: '127.0.0.1', port: config.port })
  await lifecycle.start()
  return { url, lifecycle }
}

function isUp(): true {
  return true
}
