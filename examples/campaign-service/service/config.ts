import { defineConfig, port, secretUrl } from '@dharma/core/config'

/** `DHARMA_CAMPAIGNS_POSTGRES_URL` and so on. */
export const campaignConfig = defineConfig('campaigns', {
  postgresUrl: secretUrl({ description: 'Profiles, campaigns, flights and scores.' }),
  mongoUrl: secretUrl({ description: 'Posts.' }),
  redisUrl: secretUrl({ description: 'Cache and task queue.' }),
  port: port(0, { description: 'Where the service listens; 0 takes a free one.' }),
})
