-- Marks an authorization code as used, for the first caller. It stays known until it expires, so that a second redemption can be
-- told apart (RFC 6749 section 4.1.2).
--
-- KEYS  1 code   2 user   3 time before which the subject's sessions ended
-- ARGV  1 mark of the caller, 16 random bytes   2 how long a code is remembered when it is not valid any more, in ms
-- reply 'ok'; 'code': another caller was first; 'none': there is no such code, it has expired, its user was disabled or has another
--       generation, or the sessions of the subject were ended; 'bad': a record cannot be read
-- twice finds its mark, and replies 'ok'
local code = redis.call('GET', KEYS[1])
if not code then return 'none' end
if string.byte(code) ~= 1 then return 'bad' end
local state = string.sub(code, 2, 2)
if state == 'u' then
  if string.sub(code, 3, 18) == ARGV[1] then return 'ok' end
  return 'code'
end
if state ~= 'o' then return 'bad' end
if redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then return 'none' end
local record = redis.call('GET', KEYS[2])
local user = record and cjson.decode(record) or nil
if record and (type(user) ~= 'table' or user.v ~= 1) then return 'bad' end
if user and not user.active then return 'none' end
local generation = user and user.gen or ''
local from = 20 + string.byte(code, 19)
if string.sub(code, 20, from - 1) ~= generation then return 'none' end
if tonumber(string.sub(code, from, from + 12)) <= tonumber(redis.call('GET', KEYS[3]) or 0) then return 'none' end
redis.call('SET', KEYS[1], '\1u' .. ARGV[1] .. string.sub(code, 19), 'KEEPTTL')
return 'ok'
