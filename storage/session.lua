-- Loading, ending and saving a session. Everything is checked before anything is written, because a script is not rolled back.
-- The session itself is written last: a script that was interrupted can run again, and completes what is missing.

local ended -- all sessions of the subject from before that time have ended

-- load reads the session and the user. It returns a result that ends the script, or nil:
--   'bad'    a record cannot be read
--   'user'   the user is not as it was when the credentials or the session were read
--   'none'   the session has ended
local function load()
  local raw, moved = redis.call('GET', KEYS[1]), false
  if not raw then
    raw = redis.call('GET', KEYS[2])
    moved = raw
  end
  if raw then
    if moved or sub(raw, 1, 1) == '{' then s = convert(raw) else s = decode(raw) end
  end
  if raw and not s then return 'bad' end
  if moved then
    s.moved = true
    s.evicted = redis.call('ZSCORE', KEYS[6], old_name)
  end

  -- Nothing is issued if the password was changed or the user was disabled or dropped since they were read.
  local record = redis.call('GET', KEYS[7])
  local user = record and cjson.decode(record) or nil
  if record and (type(user) ~= 'table' or user.v ~= 1) then return 'bad' end
  if step.user and (not user or user.rev ~= step.user) then return 'user' end

  -- A session has the generation that its user had when it was opened. It has ended once the user's is another one.
  local generation = user and generation_bytes(user.gen)
  ended = tonumber(redis.call('GET', KEYS[8]) or 0)
  if s then
    if s.generation ~= generation or s.created <= ended then return 'none' end
  elseif step.create then
    local created = math.floor(math.max(now, ended + unit) / unit) * unit
    s = {created = created, generation = generation, number = 0, used = '', new = true}
  end
  if not s then return 'none' end
end

local dropped = {} -- hashes of tokens that the session forgets, for their pointers

local function forget(list)
  for h in pairs(list or {}) do dropped[#dropped + 1] = h end
end

-- retire makes the current refresh token a used one. Those with a number need no entry: a genuine one that is older than the
-- current one is used.
local function retire()
  if s.current and s.number == 0 then
    s.used = s.used .. s.current
    local over = #s.used - max_used * hash_length
    if over > 0 then
      dropped[#dropped + 1] = sub(s.used, 1, over)
      s.used = sub(s.used, over + 1)
    end
  end
  s.current, s.current_expires = nil, nil
end

-- used tells whether a refresh token was rotated: by its number, hash, and name in records of the version before.
local function used(number, hash, short)
  if number > 0 and number < s.number then return true end
  for i = 1, #s.used, hash_length do
    if sub(s.used, i, i + hash_length - 1) == hash then return true end
  end
  for i = 1, #(s.old_used or ''), used_length do
    if sub(s.old_used, i, i + used_length - 1) == short then return true end
  end
  return false
end

-- prune removes what has expired, and returns the number of the others.
local function prune(list)
  local n = 0
  for h, expires in pairs(list or {}) do
    if expires <= now then list[h] = nil else n = n + 1 end
  end
  return n
end

-- until_the_end returns when a token expires in a session that may have an end.
local function until_the_end(expires)
  if s.ends and expires > s.ends then return s.ends end
  return expires
end

-- make_room forgets the listed access tokens that expire first, until there is room for another.
local function make_room()
  local list = {}
  for h in pairs(s.access) do list[#list + 1] = h end
  table.sort(list, function(a, b) return s.access[a] < s.access[b] end)
  for i = 1, #list - max_listed + 1 do
    dropped[#dropped + 1] = list[i]
    s.access[list[i]] = nil
  end
end

-- add_access adds an access token. One that is self-contained is signed, and verified before the store is asked. It needs no
-- entry: it is valid while the session is, and only those that were revoked one by one are listed.
local function add_access(hash)
  local listed = prune(s.access)
  local expires = until_the_end(now + step.access_ttl)
  if step.self_contained and not s.listed then
    s.self_contained = true
    s.access_expires = math.max(s.access_expires or 0, expires)
  else
    s.access = s.access or {}
    if listed >= max_listed and not s.access[hash] then make_room() end
    s.access[hash] = expires
  end
end

local function set_current(hash)
  s.current, s.number = hash, math.max(s.number, step.number or 0)
  if not step.number then s.number = 0 end
  s.current_expires = until_the_end(now + step.refresh_ttl)
end

-- remove_from_index removes the session's member, which is its name, or ends in it where sessions are limited: not every step
-- knows the client. There are both if the limit was removed since.
local function remove_from_index()
  for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if sub(member, -#name) == name then redis.call('ZREM', KEYS[3], member) end
  end
  redis.call('ZREM', KEYS[4], name)
end

local function end_session()
  forget(s.access)
  dropped[#dropped + 1] = s.used .. (s.current or '')
  remove_from_index()
  if s.moved then remove_from_old_index() end
  redis.call('DEL', KEYS[1], KEYS[2])
end

-- keep_until makes a key expire with the last member of an index, whose scores are in the unit, in ms.
local function keep_until(key, index, score_unit)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', key, last[2] * score_unit) end
end

local function add_to_index(index, ends, member)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', math.floor(now / 1000))
  redis.call('ZADD', index, math.ceil(ends / 1000), member)
  keep_until(index, index, 1000)
end

-- save writes the session until its last token expires, but not before 'until_then', or ends it. It returns the reply.
local function save(until_then)
  prune(s.access)
  prune(s.revoked)
  if s.old_used and s.old_used_until <= now then s.old_used = nil end
  local ends = math.max(s.current_expires or 0, s.access_expires or 0, until_then or 0)
  for _, expires in pairs(s.access or {}) do ends = math.max(ends, expires) end
  if ends <= now then
    end_session()
  else
    if step.list or s.moved and in_old_index() then -- a revocation does not know
      add_to_index(KEYS[3], ends, mark .. name)
      if mark ~= '' then redis.call('ZREM', KEYS[3], name) end -- from before there was a limit
    end
    if s.evicted then add_to_index(KEYS[4], ends, name) end
    if s.moved then
      remove_from_old_index()
      redis.call('RENAME', KEYS[2], KEYS[1]) -- so that it is never at both: it would come back when the new one has ended
    end
    redis.call('SET', KEYS[1], encode(s), 'PX', ends - now)
  end
  return {'ok', table.concat(dropped)}
end
