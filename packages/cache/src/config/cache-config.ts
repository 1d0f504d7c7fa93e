import {
  boolean,
  bytes,
  defineConfig,
  duration,
  integer,
  list,
  number,
  oneOf,
  secret,
  secretUrl,
  string,
  type ConfigDefinition,
  type Field,
} from '@dharma/core/config'
import type { Secret } from '@dharma/core'
import { presetTtlFields, type PresetTtlShape } from '../policies/index.ts'

/** Where the cache keeps its entries besides memory. */
export type CacheMode = 'memory' | 'standalone' | 'sentinel' | 'cluster'

/** The fields of {@link cacheConfig}; their documentation is `generateMarkdownTable(cacheConfig)`. */
export type CacheConfigShape = {
  readonly namespace: Field<string, string>
  readonly mode: Field<CacheMode, CacheMode>
  readonly redis: {
    readonly url: Field<Secret<string> | undefined, string | Secret<string>>
    readonly nodes: Field<readonly string[] | undefined, readonly string[]>
    readonly master: Field<string, string>
    readonly username: Field<string | undefined, string>
    readonly password: Field<Secret<string> | undefined, string | Secret<string>>
    readonly sentinelUsername: Field<string | undefined, string>
    readonly sentinelPassword: Field<Secret<string> | undefined, string | Secret<string>>
    readonly tls: Field<boolean, boolean>
    readonly db: Field<number, number>
    readonly connectTimeout: Field<number, string | number>
    readonly isRequired: Field<boolean, boolean>
    readonly timeout: Field<number, string | number>
    readonly durability: Field<Durability, Durability>
  }
  readonly memory: {
    readonly isUsed: Field<boolean, boolean>
    readonly maxEntries: Field<number, number>
    readonly maxSize: Field<number | undefined, string | number>
  }
  readonly entries: {
    readonly ttl: Field<number, string | number>
    readonly stale: Field<number, string | number>
    readonly grace: Field<number, string | number>
    readonly negativeTtl: Field<number | undefined, string | number>
    readonly jitterRatio: Field<number, number>
    readonly earlyRefresh: Field<number, number>
    readonly compressAbove: Field<number, string | number>
    readonly encryptionKeys: Field<
      readonly Secret<string>[] | undefined,
      readonly (string | Secret<string>)[]
    >
  }
  readonly maxStaleness: Field<number, string | number>
  readonly lease: Field<number, string | number>
  readonly leaseWait: Field<number, string | number>
  readonly maxLogLength: Field<number, number>
  readonly policies: PresetTtlShape
}

type Durability = 'acknowledged' | 'replicated'

const MODES: readonly CacheMode[] = ['memory', 'standalone', 'sentinel', 'cluster']
const ADDRESS = /(?:[\w.-]+|\[[\da-f:]+\]):\d{1,5}/i
const MAX_DURATION_MS = 2 ** 32 - 1

/** All that decides how a cache is made, from `DHARMA_CACHE_*`. What it makes: `createCacheFromConfig`. */
export const cacheConfig: ConfigDefinition<'cache', CacheConfigShape> = defineConfig('cache', {
  namespace: string({
    pattern: /[\w.:-]{1,64}/,
    expected: '1 to 64 of A-Z a-z 0-9 _ . : -',
    description: 'In front of every key in Redis; with a version in it, a deploy drops all',
  }),
  mode: oneOf<CacheMode>(MODES, 'memory', {
    description: 'Where entries are kept besides memory: nowhere, one Redis, Sentinel, Cluster',
  }),
  redis: {
    url: secretUrl({
      optional: true,
      schemes: ['redis', 'rediss'],
      description: 'Address of a standalone Redis',
    }),
    nodes: list(string({ pattern: ADDRESS, expected: 'host:port' }), {
      optional: true,
      minLength: 1,
      description: 'The sentinels, or some nodes of the cluster',
    }),
    master: string('mymaster', {
      minLength: 1,
      description: 'Name under which the sentinels watch the master',
    }),
    username: string({ optional: true, description: 'ACL user; goes before the URL’s' }),
    password: secret({ optional: true, description: 'Its password; goes before the URL’s' }),
    sentinelUsername: string({ optional: true, description: 'ACL user of the sentinels' }),
    sentinelPassword: secret({ optional: true, description: 'Password of the sentinels' }),
    tls: boolean(false, {
      description: 'Whether connections are encrypted; rediss:// says so too',
    }),
    db: integer(0, {
      min: 0,
      max: 1_000_000,
      description: 'Number of the database; 0 in a cluster',
    }),
    connectTimeout: duration('5s', {
      min: 1,
      max: '10m',
      description: 'How long the start waits for Redis',
    }),
    isRequired: boolean(true, {
      description: 'Whether a start without Redis fails; else it begins degraded',
    }),
    timeout: duration('250ms', { min: 1, max: '1m', description: 'Limit of every command' }),
    durability: oneOf<Durability>(['acknowledged', 'replicated'], 'acknowledged', {
      description: 'Whether a write counts as done when Redis has it, or when a replica has it too',
    }),
  },
  memory: {
    isUsed: boolean(true, { description: 'Whether there is a memory tier' }),
    maxEntries: integer(50_000, { min: 1, description: 'Entries in memory' }),
    maxSize: bytes({ optional: true, min: 1, description: 'Size of the entries, by estimate' }),
  },
  entries: {
    ttl: duration('5m', {
      min: 1,
      max: MAX_DURATION_MS,
      description: 'How long an entry is fresh',
    }),
    stale: duration(0, {
      max: MAX_DURATION_MS,
      description: 'How long after that it is served while one reloads',
    }),
    grace: duration(0, {
      max: MAX_DURATION_MS,
      description: 'How long it is kept for when loader or Redis fails',
    }),
    negativeTtl: duration({
      optional: true,
      max: MAX_DURATION_MS,
      description: 'How long it is remembered that there is nothing',
    }),
    jitterRatio: number(0.05, {
      min: 0,
      max: 1,
      description: 'Share of the TTL that is cut off at random',
    }),
    earlyRefresh: number(0, {
      min: 0,
      max: 100,
      description: 'Weight of probabilistic early refresh',
    }),
    compressAbove: bytes('4kb', { description: 'Encoded values that are larger are compressed' }),
    encryptionKeys: list(
      secret({ pattern: /\d{1,3}:[\w+/=-]{43,44}/, expected: 'id:key in base64' }),
      {
        optional: true,
        minLength: 1,
        description: 'Each id:key, 32 bytes in base64; the first encrypts, all decrypt',
      },
    ),
  },
  maxStaleness: duration('2s', {
    min: 100,
    max: '10m',
    description: 'How long another process’ invalidation may go unnoticed, whatever happens',
  }),
  lease: duration('3s', {
    min: 100,
    max: '10m',
    description: 'How long a load is a process’ alone after that has died',
  }),
  leaseWait: duration('10s', {
    max: '10m',
    description: 'How long one process waits for another’s load',
  }),
  maxLogLength: integer(10_000, {
    min: 1,
    max: 10_000_000,
    description: 'Records that the log of invalidations keeps, about',
  }),
  policies: presetTtlFields,
})
