import { describe, inject, type SuiteAPI } from 'vitest'
import type { ServerKind } from '../test-server.ts'
import type { TestServerUrls } from './provided-context.ts'

const URL_KEYS: Readonly<Record<ServerKind, keyof TestServerUrls>> = {
  redis: 'redisUrl',
  postgres: 'postgresUrl',
  mongo: 'mongoUrl',
}

/** `describe` for tests that need these servers: skipped where this run has not all of them. */
export function describeWith(...kinds: readonly ServerKind[]): SuiteAPI | SuiteAPI['skip'] {
  return kinds.every((kind) => inject(URL_KEYS[kind]) !== '') ? describe : describe.skip
}

/** `describe` for tests that need Redis (`inject('redisUrl')`). */
export const describeWithRedis: SuiteAPI | SuiteAPI['skip'] = describeWith('redis')

/** `describe` for tests that need PostgreSQL (`inject('postgresUrl')`). */
export const describeWithPostgres: SuiteAPI | SuiteAPI['skip'] = describeWith('postgres')

/** `describe` for tests that need MongoDB (`inject('mongoUrl')`). */
export const describeWithMongo: SuiteAPI | SuiteAPI['skip'] = describeWith('mongo')
