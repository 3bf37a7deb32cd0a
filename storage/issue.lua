-- Issues tokens: opens a session, or adds tokens to one. It redeems the authorization code that the tokens are for.
--
-- KEYS  1 to 8: record.lua   9 the code, if there is one
-- ARGV  1 to 3: record.lua   4 the request   5 hash of a refresh token, or empty   6 of an access token, or empty
--       7 generation of the client   8 hash of the access token that the session is made from   9 request ID, or empty
--       10 mark of this redemption
-- step  list: the session is in the index   create: it may be new   user: revision that the user must have   max: TTL of the session
--       limit: sessions of the subject at the client   suffix: of their members in the old index
--       refresh_ttl, access_ttl   number: of the refresh token   self_contained
--       memory: how long a code is remembered when it is not valid any more, in ms
-- reply {'ok', hashes of forgotten tokens}, also when it ran before; {'code'}: the code was redeemed by another;
--       {'none'}, {'user'}, {'bad'}: session.lua, or there is no such code
-- twice finds its refresh token or a later one, its access token, and its mark in the code
local result = load()
if result then return {result} end
local refresh, access = ARGV[5], ARGV[6]

local code = KEYS[9] and redis.call('GET', KEYS[9])
if KEYS[9] then
  if not code then return {'none'} end
  local state = sub(code, 2, 2)
  if byte(code, 1) ~= 1 or state ~= 'u' and state ~= 'o' then return {'bad'} end
  if state == 'u' and sub(code, 3, 18) ~= ARGV[10] then return {'code'} end
  if state == 'u' and s.new then return {'ok', ''} end -- this ran before, and the session has ended since
  if state == 'o' and redis.call('PTTL', KEYS[9]) <= (step.memory or 0) then return {'none'} end
  local from = 20 + byte(code, 19) -- behind the user's generation, which step.user stands for
  if tonumber(sub(code, from, from + 12)) <= ended then return {'none'} end
end

-- A repetition that the network held back until the session was refreshed changes nothing.
if refresh ~= '' and used(step.number or 0, refresh, '') then return {'ok', ''} end

if s.new then
  if ARGV[7] ~= '' then s.client_generation = ARGV[7] end
  if ARGV[8] ~= '' then s.parent = ARGV[8] end
  if step.max then s.ends = now + step.max end
end
s.body, s.id = ARGV[4], ARGV[9] ~= '' and ARGV[9] or nil
if refresh ~= '' then
  if s.current and s.current ~= refresh then retire() end
  set_current(refresh)
end
if access ~= '' then add_access(access) end

-- evict ends the refresh tokens of the subject's sessions at the client that expire first, beyond the limit. A member without a
-- session is what an interrupted script has left, and does not count. Their keys are those of this session, in its slot, with
-- another name at the end.
local function evict()
  local mine = {}
  local function collect(index, evicted, is_mine, name_of, key_of)
    local list = redis.call('ZRANGE', index, 0, -1, 'WITHSCORES')
    for i = 1, #list, 2 do
      local id = name_of(list[i])
      if is_mine(list[i]) and not redis.call('ZSCORE', evicted, id) and redis.call('EXISTS', key_of(id)) == 1 then
        mine[#mine + 1] = {evicted = evicted, expires = tonumber(list[i + 1]), id = id}
      end
    end
  end
  collect(KEYS[5], KEYS[6],
    function(m) return sub(m, -#step.suffix) == step.suffix and sub(m, 1, #old_name) ~= old_name end,
    function(m) return sub(m, 1, #old_name) end,
    function(id) return sub(KEYS[2], 1, -#old_name - 1) .. id end)
  for _, old in ipairs(mine) do old.expires = old.expires / 1000 end
  collect(KEYS[3], KEYS[4],
    function(m) return sub(m, 1, #mark) == mark and sub(m, -#name) ~= name end,
    function(m) return sub(m, -#name) end,
    function(id) return sub(KEYS[1], 1, -#name - 1) .. id end)
  table.sort(mine, function(a, b) return a.expires < b.expires end)
  for i = 1, #mine - step.limit + 1 do
    local m = mine[i]
    if m.evicted == KEYS[4] then
      add_to_index(m.evicted, m.expires * 1000, m.id)
    else
      redis.call('ZADD', m.evicted, m.expires * 1000, m.id)
    end
  end
  -- Each time, since a run may have ended after it had added to them.
  keep_until(KEYS[4], KEYS[4], 1000)
  keep_until(KEYS[6], KEYS[5], 1)
end

if step.limit and step.create and refresh ~= '' then evict() end
local reply = save()
if code then redis.call('SET', KEYS[9], char(1) .. 'u' .. ARGV[10] .. sub(code, 19), 'KEEPTTL') end
return reply
