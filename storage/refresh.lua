-- Refreshes a session: the token that was presented must be the current one. It becomes a used one, or stays as it is.
--
-- KEYS  1 to 8: record.lua   9 answer to the presented token
-- ARGV  1 to 3: record.lua   4 the request, or empty   5 hash of a new refresh token, or empty   6 of an access token, or empty
--       7 hash of the presented token   8 its name in records of the version before   9 sealed answer, or empty
--       10 request ID, or empty
-- step  list: the session is in the index   presented: number of the presented token
--       user, number, refresh_ttl, access_ttl, self_contained: issue.lua
--       retire: the presented token becomes a used one   end_listed: and listed access tokens end
--       end_on_reuse: the session ends if it is one already
--       grace: TTL of the answer   doubt: that in its place until it is confirmed   withheld: an answer with a longer TTL is
--       not given out yet
-- reply {'ok', hashes of forgotten tokens}, also when it ran before
--       {'replay', answer}: used within the grace or in doubt   {'busy'}: likewise, without an answer, or not given out yet
--       {'used', hashes}: used, and the grace is over
--       {'none'}: there is no such token, or session.lua   {'user'}, {'bad'}: session.lua
-- twice finds its refresh token, and replies {'ok', ''}
local result = load()
if result then return {result} end
local refresh, access, presented = ARGV[5], ARGV[6], ARGV[7]
if s.evicted or redis.call('ZSCORE', KEYS[4], name) then return {'none'} end

if s.current ~= presented then
  if not used(step.presented or 0, presented, ARGV[8]) then return {'none'} end
  if refresh ~= '' and s.current == refresh then return {'ok', ''} end -- this ran before, and its reply was lost
  local answer = redis.call('GET', KEYS[9])
  if answer then
    if #answer == 0 or step.withheld and redis.call('PTTL', KEYS[9]) > step.withheld then return {'busy'} end
    return {'replay', answer}
  end
  if step.end_on_reuse then end_session() end
  return {'used', table.concat(dropped)}
end
if s.current_expires <= now then return {'none'} end

if ARGV[4] ~= '' then s.body, s.id = ARGV[4], ARGV[10] ~= '' and ARGV[10] or nil end
local until_then = s.current_expires
if step.retire then
  retire()
  local keep = step.doubt or step.grace
  if keep then redis.call('SET', KEYS[9], ARGV[9], 'PX', keep) end
  if step.end_listed then
    forget(s.access)
    s.access = nil
  end
end
if refresh ~= '' then set_current(refresh) end
if access ~= '' then add_access(access) end
return save(until_then)
