-- Buckets of failures, for the scripts that are put behind this. A hash holds the buckets of one user, network or client, each
-- in a field: "<when it is empty, in ms> <ID>:<deadline, in ms> <ID>:<deadline>…". It is a leaky bucket (GCRA): each attempt moves
-- the time at which it is empty on by the interval. The IDs are those of attempts in flight. One that has no result by its deadline,
-- because its process died, is a failure like the others.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function read(field)
  local bucket = {empty = now, flying = {}, count = 0}
  local raw = redis.call('HGET', KEYS[1], field)
  if not raw then return bucket end
  bucket.empty = math.max(now, tonumber(string.match(raw, '^%d+')))
  for id, deadline in string.gmatch(raw, ' ([%w_-]+):(%d+)') do
    if tonumber(deadline) > now then
      bucket.flying[id] = tonumber(deadline)
      bucket.count = bucket.count + 1
    end
  end
  return bucket
end

local function write(field, bucket)
  if bucket.empty <= now and bucket.count == 0 then
    redis.call('HDEL', KEYS[1], field)
    return
  end
  local ends, parts = bucket.empty, {string.format('%d', bucket.empty)}
  for id, deadline in pairs(bucket.flying) do
    parts[#parts + 1] = id .. ':' .. string.format('%d', deadline)
    ends = math.max(ends, deadline)
  end
  redis.call('HSET', KEYS[1], field, table.concat(parts, ' '))
  if redis.call('PTTL', KEYS[1]) < ends - now then redis.call('PEXPIRE', KEYS[1], string.format('%d', ends - now)) end
end

