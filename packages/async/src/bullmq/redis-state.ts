import type { Redis } from 'ioredis'
import type {
  PutOptions,
  RateGrant,
  RateLimit,
  StateEntry,
  StateStore,
} from '../task-queue/index.ts'
import { RedisScript } from './redis-script.ts'

const PUT = new RedisScript(`
local version = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
if ARGV[2] ~= '' and version ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', version + 1)
if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) else redis.call('PERSIST', KEYS[1]) end
return 1`)

const RECORD = new RedisScript(`
for at = 2, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1]) end
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('HLEN', KEYS[1])`)

/** The law of `takeFromBucket`, by the server's clock. */
const TAKE = new RedisScript(`
local max, per, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local each = per / max
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local room = math.floor((now + per - start) / each + 1e-9)
local granted = math.max(0, math.min(count, room))
local full = start + granted * each
if granted > 0 then redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now) + 1) end
local retry = 0
if granted < count then retry = math.max(1, math.ceil(full + each - now - per)) end
return {granted, retry}`)

/** Fields given to one call at most: Lua's stack has an end. */
const FIELDS_AT_ONCE = 1_000

/** {@link StateStore} in Redis: a hash of value and version for each key, a hash for each map. */
export class RedisState implements StateStore {
  readonly #redis: Redis
  readonly #prefix: string

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis
    this.#prefix = `${prefix}:dharma`
  }

  async get(key: string): Promise<StateEntry | undefined> {
    const [value, version] = await this.#redis.hmget(this.#key(key), 'v', 'n')
    if (value === null || value === undefined) return undefined
    return { value, version: Number(version) }
  }

  async put(key: string, value: string, { ttlMs, ifVersion }: PutOptions = {}): Promise<boolean> {
    const args = [value, ifVersion ?? '', ttlMs === undefined ? '' : Math.ceil(ttlMs)]
    return (await PUT.run(this.#redis, this.#key(key), args)) === 1
  }

  async remove(key: string): Promise<void> {
    await this.#redis.del(this.#key(key), this.#map(key))
  }

  async record(
    map: string,
    fields: Readonly<Record<string, string>>,
    ttlMs?: number,
  ): Promise<number> {
    const entries = Object.entries(fields)
    let size = 0
    for (let at = 0; at === 0 || at < entries.length; at += FIELDS_AT_ONCE) {
      const part = entries.slice(at, at + FIELDS_AT_ONCE).flat()
      const args = [ttlMs === undefined ? '' : Math.ceil(ttlMs), ...part]
      size = Number(await RECORD.run(this.#redis, this.#map(map), args))
    }
    return size
  }

  async fields(map: string): Promise<Readonly<Record<string, string>>> {
    return this.#redis.hgetall(this.#map(map))
  }

  async forget(map: string, field: string): Promise<void> {
    await this.#redis.hdel(this.#map(map), field)
  }

  async take(key: string, { max, perMs }: RateLimit, count: number): Promise<RateGrant> {
    const reply = await TAKE.run(this.#redis, `${this.#prefix}:rate:${key}`, [max, perMs, count])
    const [granted = 0, retryAfterMs = 0] = reply as number[]
    return { granted, retryAfterMs }
  }

  #key(key: string): string {
    return `${this.#prefix}:state:${key}`
  }

  #map(map: string): string {
    return `${this.#prefix}:map:${map}`
  }
}
