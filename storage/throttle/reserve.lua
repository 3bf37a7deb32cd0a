-- Counts an attempt, before it is known whether it fails. bucket.lua goes before this.
--
-- KEYS  1 buckets   2 networks that the user has logged in from (sorted set: network → when it is forgotten, in ms)
-- ARGV  1 ID of the attempt   2 what the buckets are of   3 its network, empty for none
--       4 interval in ms   5 the most failures that fit, 0 for no limit: of the network's bucket
--       6 interval in ms   7 the most failures that fit, 0 for no limit: of the bucket for networks that are not known
--       8 ms until an attempt without a result is a failure   9 the most networks
-- reply {0, ms until one more fits, '', known}: counted
--       {1, ms until one more fits, field, known}: full of failures. Nothing was changed
--       {2, ms until one more fits whatever they result in, field, known}: full with the attempts in flight. Nothing was changed
-- twice finds the attempt, and does not count it again
local id, network, known = ARGV[1], ARGV[3], 0
if network ~= '' and tonumber(redis.call('ZSCORE', KEYS[2], network) or 0) > now then known = 1 end

local buckets = {}
if network ~= '' and tonumber(ARGV[5]) > 0 then
  buckets[1] = {field = 'n:' .. network, interval = tonumber(ARGV[4]), limit = tonumber(ARGV[5])}
end
if known == 0 and tonumber(ARGV[7]) > 0 then
  buckets[#buckets + 1] = {field = 'all', interval = tonumber(ARGV[6]), limit = tonumber(ARGV[7])}
end

-- over tells by how many ms one more attempt is too many for a bucket.
local function over(b) return b.state.empty + b.interval - now - b.interval * b.limit end

local status, wait, field, repeated = 0, 0, '', false
for _, b in ipairs(buckets) do
  b.state = read(b.field)
  -- It holds no more than the limit, also after the limit was lowered or the clock was set back.
  local most = now + b.interval * b.limit
  if b.state.empty > most then
    b.state.empty = most
    write(b.field, b.state)
  end
  repeated = repeated or at(b.state, id) ~= nil
  local sure = over(b) - b.state.count * b.interval
  if sure > 0 then
    if status ~= 1 or sure > wait then status, wait, field = 1, sure, b.field end
  elseif over(b) > 0 and status == 0 then
    status, wait, field = 2, over(b), b.field
  end
end
if status > 0 and not repeated then return {status, wait, field, known} end

wait = 0
for _, b in ipairs(buckets) do
  if not repeated then
    local most = tonumber(ARGV[9])
    if b.field ~= 'all' and redis.call('HLEN', KEYS[1]) >= most + 2 and redis.call('HEXISTS', KEYS[1], b.field) == 0 then
      -- The emptiest of the networks are forgotten. The bucket for all networks that are not known still counts them.
      local found, list = redis.call('HGETALL', KEYS[1]), {}
      for i = 1, #found, 2 do
        if string.sub(found[i], 1, 2) == 'n:' then
          list[#list + 1] = {field = found[i], empty = tonumber(string.match(found[i + 1], '^%d+'))}
        end
      end
      table.sort(list, function(x, y) return x.empty < y.empty end)
      for i = 1, math.max(1, math.floor(most / 8)) do
        if list[i] then redis.call('HDEL', KEYS[1], list[i].field) end
      end
    end
    b.state.empty = b.state.empty + b.interval
    add(b.state, id, now + tonumber(ARGV[8]))
    write(b.field, b.state, ARGV[2])
  end
  wait = math.max(wait, over(b))
end
return {0, math.max(wait, 0), '', known}
