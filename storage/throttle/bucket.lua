-- Buckets of failures, for the scripts that are put behind this. A hash holds the buckets of one user, network or client, each
-- in a field: "<when it is empty, in ms> <ID>:<deadline, in ms> <ID>:<deadline>…". It is a leaky bucket (GCRA): each attempt moves
-- the time at which it is empty on by the interval. The IDs are those of attempts in flight. One that has no result by its deadline,
-- because its process died, is a failure like the others.
--
-- The attempts stay text, the earliest deadline first: with a thousand of them, a table would cost Redis a millisecond each time.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local entry = 1 + 11 + 1 + 13 -- bytes of one attempt

local function read(field)
  local raw = redis.call('HGET', KEYS[1], field)
  if not raw then return {empty = now, flying = '', count = 0} end
  local empty, from = string.match(raw, '^%d+'), 1
  local flying = string.sub(raw, #empty + 1)
  while from < #flying and (tonumber(string.sub(flying, from + entry - 13, from + entry - 1)) or 0) <= now do from = from + entry end
  flying = string.sub(flying, from)
  return {empty = math.max(now, tonumber(empty)), flying = flying, count = math.floor(#flying / entry)}
end

-- at returns where an attempt is, nil if it is not in flight.
local function at(bucket, id) return (string.find(bucket.flying, ' ' .. id .. ':', 1, true)) end

local function add(bucket, id, deadline)
  bucket.flying = bucket.flying .. string.format(' %s:%013d', id, deadline)
  bucket.count = bucket.count + 1
end

local function remove(bucket, i)
  bucket.flying = string.sub(bucket.flying, 1, i - 1) .. string.sub(bucket.flying, i + entry)
  bucket.count = bucket.count - 1
end

-- write stores a bucket, with the label of its hash if there is one. The TTL comes first: where it cannot be set nothing is written,
-- or a hash could stay for ever. That of a new hash comes a second time, because before there is nothing that could have one.
local function write(field, bucket, label)
  if bucket.empty <= now and bucket.count == 0 then
    redis.call('HDEL', KEYS[1], field)
    return
  end
  local ends = bucket.empty
  if bucket.count > 0 then ends = math.max(ends, tonumber(string.sub(bucket.flying, -13))) end
  local ttl = string.format('%d', ends - now)
  local left = redis.call('PTTL', KEYS[1])
  if left < ends - now then redis.call('PEXPIRE', KEYS[1], ttl) end
  local text = string.format('%d', bucket.empty) .. bucket.flying
  if label then
    redis.call('HSET', KEYS[1], 'name', label, field, text)
  else
    redis.call('HSET', KEYS[1], field, text)
  end
  if left == -2 then redis.call('PEXPIRE', KEYS[1], ttl) end
end
