-- Ends an attempt that reserve.lua has counted. bucket.lua goes before this.
--
-- KEYS  1 buckets   2 networks that the user has logged in from
-- ARGV  1 ID of the attempt   2 failed, succeeded or cancelled   3 its network, empty for none
--       4 interval in ms of the network's bucket   5 interval in ms of the bucket for networks that are not known
--       6 ms for which a network is known   7 the most known networks
-- reply 1
-- twice finds no attempt in flight, and changes no count
--
-- A failure stays counted. A success takes the attempt back, forgives what failed from the same network, and makes the network a
-- known one. An attempt that is not in flight any more changes no count: its deadline has passed, and it is a failure.
local id, result, network = ARGV[1], ARGV[2], ARGV[3]

local function settle(field, interval, forgive)
  local bucket = read(field)
  local mine = at(bucket, id)
  if mine then remove(bucket, mine) end
  if forgive then
    bucket.empty = now + interval * bucket.count
  elseif mine and result ~= 'failed' then
    bucket.empty = bucket.empty - interval
  elseif not mine then
    return
  end
  write(field, bucket)
end

if network ~= '' then settle('n:' .. network, tonumber(ARGV[4]), result == 'succeeded') end
settle('all', tonumber(ARGV[5]), false)
if redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end -- the name alone

if result == 'succeeded' and network ~= '' then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[6]), network)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[7]) - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return 1
