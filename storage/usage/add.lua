-- Adds calls to the hash, and marks since when and until when the operations API is counted. A start that is there is replaced only
-- if no server has counted for longer than the gap, or if a mark of this server is lost, and counts with it: Redis was restored from a
-- backup. Calls of a server whose clock is behind that of the server that counted last are taken for later by the difference: they
-- would otherwise look as old as its clock.
--
-- KEYS  1 the hash: field → "<count> <first> <last>", times in ms; 'since' and 'until' → a time in ms
-- ARGV  1 the most fields with addresses   2 the most fields   3 the TTL of the hash in ms
--       4 the time in ms, "" in a process without the operations API   5 the longest gap in ms
--       6 a time in ms that this server has marked before, 0 for none
--       then for each caller: field, the field without the address, the field without the user, count, first, last
-- reply 1
-- twice the calls are counted twice
local lasting = redis.call('PEXPIRE', KEYS[1], ARGV[3]) -- first, or calls that are repeated after its failure would count twice
local now = tonumber(ARGV[4])
local behind = 0
if now then
  local last = tonumber(redis.call('HGET', KEYS[1], 'until') or '')
  if not last or now - last > tonumber(ARGV[5]) or last < tonumber(ARGV[6]) or redis.call('HEXISTS', KEYS[1], 'since') == 0 then
    redis.call('HSET', KEYS[1], 'since', ARGV[4])
  end
  if not last or now > last then redis.call('HSET', KEYS[1], 'until', ARGV[4]) else behind = last - now end
end
local fields = redis.call('HLEN', KEYS[1])
for i = 7, #ARGV, 6 do
  local field, count, first, last = ARGV[i], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5]) + behind
  local found = redis.call('HGET', KEYS[1], field)
  for fallback = 1, 2 do
    if not found and fields >= tonumber(ARGV[fallback]) then
      field = ARGV[i + fallback]
      found = redis.call('HGET', KEYS[1], field)
    end
  end
  if found then
    local c, f, l = string.match(found, '^(%d+) (%d+) (%d+)$')
    if c then count, first, last = count + c, math.min(first, f), math.max(last, l) end
  else
    fields = fields + 1
  end
  redis.call('HSET', KEYS[1], field, string.format('%d %d %d', count, first, last))
end
if lasting == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end -- the hash is new
return 1
