-- Stores an authorization code together with the generation that its user has now. A password change or a revocation of all
-- sessions gives the user another one, and then the code is not good any more.
--
-- KEYS  1 code   2 user   3 time before which the subject's sessions ended
-- ARGV  1 the record from the client's generation on   2 TTL in ms
-- reply 'ok'; 'code': a used one is not opened again; 'bad': a record cannot be read
-- twice stores it again, unless it was used in between
local found = redis.call('GET', KEYS[1])
if found then
  if string.sub(found, 1, 2) == '\1u' then return 'code' end
  if string.sub(found, 1, 2) ~= '\1o' then return 'bad' end
end
local record = redis.call('GET', KEYS[2])
local user = record and cjson.decode(record) or nil
if record and (type(user) ~= 'table' or user.v ~= 1) then return 'bad' end
local generation = user and user.gen or ''
local clock = redis.call('TIME')
local created = clock[1] * 1000 + math.floor(clock[2] / 1000)
created = math.max(created, tonumber(redis.call('GET', KEYS[3]) or 0) + 1)
local unused = string.rep('\0', 16)
redis.call('SET', KEYS[1], '\1o' .. unused .. string.char(#generation) .. generation ..
  string.format('%013d', created) .. ARGV[1], 'PX', ARGV[2])
return 'ok'
