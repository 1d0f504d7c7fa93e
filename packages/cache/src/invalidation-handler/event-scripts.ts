/**
 * What runs inside Redis. The number of a record is the one before it plus one, so that a group which
 * read up to `k` has missed something exactly if the first record that is left is beyond `k + 1`. A
 * new stream begins at Redis' time in microseconds, above whatever an earlier one may have reached.
 */
const PRELUDE = `
local function text(n) return string.format('%.0f', n) end
local function number(id) return tonumber(string.match(id, '^%d+')) end
local function nowMs()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function field(row, name)
  for i = 1, #row, 2 do if row[i] == name then return row[i + 1] end end
end
local function lastId(stream)
  local info = redis.pcall('XINFO', 'STREAM', stream)
  return info.err and '0-0' or field(info, 'last-generated-id')
end
local function groupOf(stream, name)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return nil end
  for _, group in ipairs(groups) do
    if field(group, 'name') == name then return group end
  end
end
`

/** KEYS stream [, seen] · ARGV event, payload, who has applied it already, maxlen, how long seen stands (ms) */
const APPEND = `${PRELUDE}
if KEYS[2] and not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[5]) then return 0 end
local n = number(lastId(KEYS[1]))
if n == 0 then n = nowMs() * 1000 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], text(n + 1) .. '-0',
  'e', ARGV[1], 'd', ARGV[2], 'a', ARGV[3], 't', text(nowMs()))
return 1
`

/**
 * KEYS stream, gaps · ARGV group, consumer, count, highest number that this process knows of. Reads what is
 * new for the group. A gap is written down in the same step in which the group moves past it, and stays
 * there until somebody has cleared the caches. The read of nothing is a sign of life: where there are no
 * events, Redis 7.0 would take the process for gone.
 */
const TAKE = `${PRELUDE}
local last = lastId(KEYS[1])
local highest = number(last)
local group = groupOf(KEYS[1], ARGV[1])
local gap = false
if not group then
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$', 'MKSTREAM')
  if highest == 0 then
    highest = nowMs() * 1000
    last = text(highest) .. '-0'
    redis.call('XSETID', KEYS[1], last)
    redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], last)
  end
  gap = true
else
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  local next = first and number(first[1]) or highest + 1
  if next > number(field(group, 'last-delivered-id')) + 1 then
    redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], text(next - 1) .. '-0')
    gap = true
  end
end
if highest < tonumber(ARGV[4]) then gap = true end
if gap then redis.call('HSET', KEYS[2], ARGV[1], text(nowMs()) .. ':' .. ARGV[2]) end
local none = '9007199254740991-0'
redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'STREAMS', KEYS[1], none)
local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
return { redis.call('HGET', KEYS[2], ARGV[1]) or '', last, text(nowMs()), reply and reply[1][2] or {} }
`

/** KEYS stream, gaps · ARGV group, consumer, idle ms, count. What others took and did not finish. */
const CLAIM = `${PRELUDE}
local reply = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], '0-0', 'COUNT', ARGV[4])
if reply[3] and #reply[3] > 0 then
  redis.call('HSET', KEYS[2], ARGV[1], text(nowMs()) .. ':' .. ARGV[2])
end
return reply[2]
`

/** KEYS gaps · ARGV group, the gap that was dealt with. A later one stays. */
const CLOSE_GAP = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`

/** KEYS stream, gaps · ARGV group, consumer. Never takes unfinished records with it. */
const LEAVE = `
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if pending.err or #pending > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
`

/**
 * KEYS stream, gaps · ARGV idle ms. Removes what every group is done with, consumers that are gone and
 * groups of single processes that are gone. Returns how many of each.
 */
const TIDY = `${PRELUDE}
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return { 0, 0, 0 } end
local idle, consumers, gone, keep = tonumber(ARGV[1]), 0, 0, nil
for _, group in ipairs(groups) do
  local name = field(group, 'name')
  local alive = false
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], name)) do
    if field(consumer, 'idle') < idle then
      alive = true
    elseif field(consumer, 'pending') == 0 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], name, field(consumer, 'name'))
      consumers = consumers + 1
    end
  end
  if not alive and string.find(name, '/', 1, true) then
    redis.call('XGROUP', 'DESTROY', KEYS[1], name)
    redis.call('HDEL', KEYS[2], name)
    gone = gone + 1
  else
    local oldest = redis.call('XPENDING', KEYS[1], name)[2]
    local from = oldest and number(oldest) or number(field(group, 'last-delivered-id')) + 1
    if not keep or from < keep then keep = from end
  end
end
local trimmed = keep and redis.call('XTRIM', KEYS[1], 'MINID', text(keep) .. '-0') or 0
return { trimmed, consumers, gone }
`

/** The scripts, under the names of the commands that are defined on the client. */
export const EVENT_SCRIPTS: Readonly<Record<EventScript, string>> = {
  dharmaEventAppend: APPEND,
  dharmaEventTake: TAKE,
  dharmaEventClaim: CLAIM,
  dharmaEventCloseGap: CLOSE_GAP,
  dharmaEventLeave: LEAVE,
  dharmaEventTidy: TIDY,
}

export type EventScript =
  | 'dharmaEventAppend'
  | 'dharmaEventTake'
  | 'dharmaEventClaim'
  | 'dharmaEventCloseGap'
  | 'dharmaEventLeave'
  | 'dharmaEventTidy'
