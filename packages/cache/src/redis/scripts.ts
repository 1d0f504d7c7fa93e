/**
 * What runs inside Redis. Each script is one step that nothing can come between. The keys that lie
 * in the log's slot are passed only where everything is on one server; in a cluster the steps
 * are taken one after the other by `RedisTier`.
 *
 * A version is the number of an invalidation: the last one plus one, or Redis' own time in
 * microseconds if that is larger, so that it grows even where the counter was evicted. Versions
 * travel as strings, because Lua prints large numbers in short.
 */
const PRELUDE = `
local function micros()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function text(n) return string.format('%.0f', n) end
local function startOver(vk, gk, hint)
  local v = math.max(micros(), tonumber(hint) + 1)
  redis.call('SET', vk, text(v))
  redis.call('SET', gk, cjson.encode({ f = text(v) }))
  return v
end
local function current(vk, gk, hint)
  local v = redis.call('GET', vk)
  if v then return tonumber(v) end
  return startOver(vk, gk, hint)
end
local function advance(vk, gk, hint)
  local previous = current(vk, gk, hint)
  local v = math.max(previous + 1, micros())
  redis.call('SET', vk, text(v))
  return previous, v
end
local function append(log, maxlen, previous, v, origin, what)
  redis.call('XADD', log, 'MAXLEN', '~', maxlen, '*', 'p', text(previous), 'v', text(v), 'o', origin, 'x', what)
end
local function holds(lease, token)
  return lease == 'L' .. token or lease == 'W' .. token
end
local function notify(log, maxlen, lease, key)
  if string.sub(lease, 1, 1) ~= 'W' then return 1 end
  if not log then return 2 end
  redis.call('XADD', log, 'MAXLEN', '~', maxlen, '*', 'f', key)
  return 1
end
`

/** KEYS entry, lease [, version, patterns] · ARGV token, leaseMs, head of the entry seen, hint */
const ACQUIRE = `${PRELUDE}
local head = redis.call('GETRANGE', KEYS[1], 0, 19)
if head ~= '' and head ~= ARGV[3] then return { 2, redis.call('GET', KEYS[1]) } end
local lease = redis.call('GET', KEYS[2])
if lease and string.sub(lease, 1, 1) ~= 'E' then
  if string.sub(lease, 1, 1) == 'L' then
    redis.call('SET', KEYS[2], 'W' .. string.sub(lease, 2), 'KEEPTTL')
  end
  return { 0, string.sub(lease, 2), redis.call('PTTL', KEYS[2]) }
end
redis.call('SET', KEYS[2], 'L' .. ARGV[1], 'PX', ARGV[2])
local v = ''
if KEYS[3] then v = text(current(KEYS[3], KEYS[4], ARGV[4])) end
return { 1, v, text(math.floor(micros() / 1000)) }
`

/** KEYS entry, lease [, log] · ARGV token, ttlMs, entry, maxlen, key. 0 refused, 1 stored, 2 stored and others wait */
const FILL = `${PRELUDE}
local lease = redis.call('GET', KEYS[2])
if not lease or not holds(lease, ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
return notify(KEYS[3], ARGV[4], lease, ARGV[5])
`

/** KEYS lease [, log] · ARGV token, failure or '', how long it stands, maxlen, key */
const RELEASE = `${PRELUDE}
local lease = redis.call('GET', KEYS[1])
if not lease or not holds(lease, ARGV[1]) then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'E' .. ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3]) end
return notify(KEYS[2], ARGV[4], lease, ARGV[5])
`

/** KEYS lease · ARGV token, leaseMs */
const RENEW = `${PRELUDE}
local lease = redis.call('GET', KEYS[1])
if not lease or not holds(lease, ARGV[1]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`

/**
 * KEYS entry, lease [, version, patterns, log] · ARGV first bytes, last bytes, ttlMs, not after
 * (ms, or ''), version in a cluster, hint, maxlen, origin, what. A write that was delayed beyond the
 * time in which its caller heard of it is refused: a younger one may have come before it.
 */
const WRITE = `${PRELUDE}
local ms = math.floor(micros() / 1000)
if ARGV[4] ~= '' and ms > tonumber(ARGV[4]) then return { 0, '0', '0', text(ms) } end
local previous, v = 0, tonumber(ARGV[5])
if KEYS[3] then previous, v = advance(KEYS[3], KEYS[4], ARGV[6]) end
redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>dd', v, ms) .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
if KEYS[3] then append(KEYS[5], ARGV[7], previous, v, ARGV[8], ARGV[9]) end
return { 1, text(v), text(previous), text(ms) }
`

/**
 * KEYS version, patterns, log, keys to drop …, tags to bump … · ARGV hint, maxlen, origin, what,
 * number of keys to drop, how long a tag lives, patterns as JSON, '1' to drop everything, patterns kept at most
 */
const INVALIDATE = `${PRELUDE}
local previous, v = advance(KEYS[1], KEYS[2], ARGV[1])
local dropped = tonumber(ARGV[5])
for i = 4, 3 + dropped do redis.call('UNLINK', KEYS[i]) end
for i = 4 + dropped, #KEYS do redis.call('SET', KEYS[i], text(v), 'PX', ARGV[6]) end
if ARGV[8] == '1' then
  redis.call('SET', KEYS[2], cjson.encode({ f = text(v) }))
elseif ARGV[7] ~= '' then
  local stored = redis.call('GET', KEYS[2])
  local ledger = stored and cjson.decode(stored) or { f = text(v) }
  local patterns = ledger.p or {}
  for _, pattern in ipairs(cjson.decode(ARGV[7])) do
    for i = #patterns, 1, -1 do
      if patterns[i][2] == pattern then table.remove(patterns, i) end
    end
    table.insert(patterns, { text(v), pattern })
  end
  while #patterns > tonumber(ARGV[9]) do ledger.f = table.remove(patterns, 1)[1] end
  ledger.p = patterns
  redis.call('SET', KEYS[2], cjson.encode(ledger))
end
append(KEYS[3], ARGV[2], previous, v, ARGV[3], ARGV[4])
return { text(v), text(previous) }
`

/** KEYS entry, lease */
const DROP = `return redis.call('UNLINK', KEYS[1], KEYS[2])`

/** KEYS tag · ARGV version, how long it lives. Never lowers it. */
const BUMP = `
local old = redis.call('GET', KEYS[1])
local v = ARGV[1]
if old and tonumber(old) > tonumber(v) then v = old end
redis.call('SET', KEYS[1], v, 'PX', ARGV[2])
return v
`

/** KEYS tag · ARGV version if there is none, how long it lives */
const ENSURE_TAG = `
local old = redis.call('GET', KEYS[1])
if old then return old end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
`

/**
 * KEYS version, patterns, log · ARGV hint, id of the record that was read last or ''. Where the log
 * ends, what holds at that point, and whether that record is in it. It writes, because a replica must not answer.
 */
const SYNC = `${PRELUDE}
local v = current(KEYS[1], KEYS[2], ARGV[1])
redis.call('SET', KEYS[1], text(v))
local g = redis.call('GET', KEYS[2])
if not g then
  v = startOver(KEYS[1], KEYS[2], text(v))
  g = redis.call('GET', KEYS[2])
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
local has = ARGV[2] == '' or #redis.call('XRANGE', KEYS[3], ARGV[2], ARGV[2]) > 0
return { text(v), g, last[1] and last[1][1] or '0-0', text(math.floor(micros() / 1000)), has and 1 or 0 }
`

export type ScriptName =
  | 'dharmaAcquire'
  | 'dharmaFill'
  | 'dharmaRelease'
  | 'dharmaRenew'
  | 'dharmaWrite'
  | 'dharmaInvalidate'
  | 'dharmaDrop'
  | 'dharmaBump'
  | 'dharmaEnsureTag'
  | 'dharmaSync'

export const SCRIPTS: Readonly<Record<ScriptName, string>> = {
  dharmaAcquire: ACQUIRE,
  dharmaFill: FILL,
  dharmaRelease: RELEASE,
  dharmaRenew: RENEW,
  dharmaWrite: WRITE,
  dharmaInvalidate: INVALIDATE,
  dharmaDrop: DROP,
  dharmaBump: BUMP,
  dharmaEnsureTag: ENSURE_TAG,
  dharmaSync: SYNC,
}
