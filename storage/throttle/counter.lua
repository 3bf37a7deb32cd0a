-- Adds one failure to a counter, or takes one off. The counter is a leaky bucket (GCRA): all that is stored is the time at
-- which it is empty. Each failure moves that time on by the interval.
--
-- KEYS  1 counter: "<when it is empty, in ms> <ID of the last call>"
-- ARGV  1 ID of this call   2 failures to add, 1 or -1   3 interval in ms   4 the most failures that fit
-- reply 0, or the ms to wait when one more does not fit; then nothing was changed
--
-- A call whose reply was lost may be sent again at once without a second effect. After another call in between it counts twice.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local empty, last = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (.*)$')
if last == ARGV[1] then return 0 end

local full = now + ARGV[3] * ARGV[4]
empty = math.max(tonumber(empty or 0), now) + ARGV[2] * ARGV[3]
if tonumber(ARGV[2]) > 0 and empty > full then return empty - full end
if empty > now then
  redis.call('SET', KEYS[1], string.format('%d %s', empty, ARGV[1]), 'PX', empty - now)
else
  redis.call('DEL', KEYS[1])
end
return 0
