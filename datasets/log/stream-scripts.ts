/**
 * Adds a batch to one partition's log, all or none, in one step of Redis: nothing is written before every event is judged.
 *
 * KEYS: the stream, the counter of seqs, then one key for each event id of the batch.
 * ARGV: least last seq, now in ms, window in ms, expiry of ids in ms, most records (0 = any number), then for each event
 * its record and the place of its id among KEYS (0 = it has none).
 * Returns the last seq, then the seq of each event, negative for a duplicate.
 *
 * The counter is written even when all are duplicates: WAIT counts from the last write of its connection, so that what was
 * written over another one is waited for too.
 */
export const APPEND_SCRIPT = `
local function text(n) return string.format('%.0f', n) end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if last < tonumber(ARGV[1]) then
  return redis.error_reply('LOGLOST ' .. text(last) .. ' ' .. ARGV[1])
end
local now, window, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])

local seqs = {}
if #KEYS > 2 then
  local known = redis.call('MGET', unpack(KEYS, 3))
  for i = 1, #known do
    if known[i] then
      local seq, arrival = string.match(known[i], '^(%d+) (.+)$')
      if now - tonumber(arrival) <= window then seqs[i + 2] = tonumber(seq) end
    end
  end
end

local told, fresh = {0}, 0
for i = 6, #ARGV, 2 do
  local key = tonumber(ARGV[i + 1])
  if seqs[key] then
    told[#told + 1] = -seqs[key]
  else
    fresh = fresh + 1
    told[#told + 1] = last + fresh
    if key > 0 then seqs[key] = last + fresh end
  end
end
if most > 0 and fresh > 0 then
  local held = redis.call('XLEN', KEYS[1])
  if held + fresh > most then
    return redis.error_reply('LOGFULL ' .. text(held) .. ' ' .. ARGV[5])
  end
end

for i = 2, #told do
  if told[i] > 0 then
    local record, key, seq = ARGV[2 * i + 2], tonumber(ARGV[2 * i + 3]), text(told[i])
    redis.call('XADD', KEYS[1], seq .. '-0', 'r', record)
    if key > 0 then redis.call('SET', KEYS[key], seq .. ' ' .. ARGV[2], 'PX', ARGV[4]) end
  end
end
redis.call('SET', KEYS[2], text(last + fresh))
told[1] = last + fresh
return told
`;

/**
 * Lets a log that continues segments begin after them. KEYS: stream, counter. ARGV: last seq of the segments.
 * Returns the last seq; refuses while the stream holds records that end before the segments do.
 */
export const START_SCRIPT = `
local last, start = tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[1])
if start <= last then return last end
if redis.call('XLEN', KEYS[1]) > 0 then
  return redis.error_reply('LOGBEHIND ' .. string.format('%.0f', last))
end
redis.call('SET', KEYS[2], ARGV[1])
return start
`;

/** KEYS: stream, counter. Returns the last seq, and that of the oldest record or 0; no record travels for it. */
export const BOUNDS_SCRIPT = `
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
return {last, oldest and tonumber(string.match(oldest[1], '^%d+')) or 0}
`;
