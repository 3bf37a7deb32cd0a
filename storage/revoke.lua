-- Revokes tokens of a session. A session that is left without a valid token ends.
--
-- KEYS  1 to 8: record.lua
-- ARGV  1 to 3: record.lua   4 hash of an access token, or empty   5 of a refresh token, or empty
--       6 its name in records of the version before
-- step  end_refresh, end_access: all tokens of that kind
-- reply {'ok', hashes of forgotten tokens}   {'none'}, {'bad'}: session.lua
-- A session that would have more than max_listed revoked tokens ends all its access tokens instead.
-- twice finds the tokens revoked, or the session ended: {'none'}
local result = load()
if result then return {result} end
local access, refresh = ARGV[4], ARGV[5]

-- Self-contained ones cannot be told from later ones: from now on they are listed.
local function end_access()
  if s.self_contained then s.listed = true end
  forget(s.access)
  s.access, s.revoked, s.self_contained, s.access_expires = nil, nil, nil, nil
end

if access ~= '' then
  if s.access and s.access[access] then
    s.access[access] = nil
    dropped[#dropped + 1] = access
  elseif s.self_contained then
    s.revoked = s.revoked or {}
    s.revoked[access] = s.access_expires + access_slack
    if prune(s.revoked) > max_listed then end_access() end
  end
end
if refresh ~= '' then
  if s.current == refresh then s.current, s.current_expires = nil, nil end
  local kept = ''
  for i = 1, #s.used, hash_length do
    local h = sub(s.used, i, i + hash_length - 1)
    if h ~= refresh then kept = kept .. h end
  end
  s.used = kept
  local found = s.old_used and string.find(s.old_used, ARGV[6], 1, true)
  if found then s.old_used = sub(s.old_used, 1, found - 1) .. sub(s.old_used, found + used_length) end
  dropped[#dropped + 1] = refresh
end
if step.end_refresh then
  dropped[#dropped + 1] = s.used .. (s.current or '')
  s.current, s.current_expires, s.number, s.used, s.old_used = nil, nil, 0, '', nil
end
if step.end_access then end_access() end
return save()
