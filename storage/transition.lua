-- One change of one session: a login, a refresh or a revocation. Everything is checked before anything is written, because a
-- script is not rolled back. A step that ran and whose reply was lost may be sent again without a second effect.
--
-- KEYS  1 session   2 index of the subject's sessions   3 evicted ones   4 answer to the presented token   5 user
--       6 the authorization code that the step uses, if there is one
-- ARGV  1 the step as JSON, see transition.go   2 sealed answer   3 mark of the code's user
-- reply {result, earlier answer}; the results are in transition.go. The answer comes with the result 'replay' alone.
local step = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local raw = redis.call('GET', KEYS[1])
local s = raw and cjson.decode(raw) or nil
local evicted = s and redis.call('ZSCORE', KEYS[3], step.name)

if raw and (type(s) ~= 'table' or s.v ~= 1) then return {'bad'} end

-- The user must be as it was when the credentials or the session were read. Nothing is issued if since then the password was
-- changed or the user was disabled or dropped.
local record = redis.call('GET', KEYS[5])
local user = record and cjson.decode(record) or nil
if record and (type(user) ~= 'table' or user.v ~= 1) then return {'bad'} end
if step.user and (not user or user.rev ~= step.user) then return {'user'} end

-- A session has the generation that its user had when it was opened. It has ended once the user's is another one.
local generation = user and user.gen or nil
if s and s.g ~= generation then return {'none'} end

-- A code is used once, by the step with its mark.
local code = KEYS[6] and redis.call('GET', KEYS[6])
if KEYS[6] then
  if not code then return {'none'} end
  if string.byte(code) ~= 1 then return {'bad'} end
  if string.sub(code, 2, 2) ~= 'o' then
    return {string.sub(code, 3, 18) == ARGV[3] and 'ok' or 'code'}
  end
end
local function use_code()
  if code then redis.call('SET', KEYS[6], '\1u' .. ARGV[3] .. string.sub(code, 19), 'KEEPTTL') end
end

local function used(h)
  return s.u and string.find(s.u, string.sub(h, 1, 12), 1, true)
end

local function end_session()
  redis.call('DEL', KEYS[1])
  if step.member then
    redis.call('ZREM', KEYS[2], step.member)
    redis.call('ZREM', KEYS[3], step.name)
  end
end

if step.present then
  local h = step.present
  if not s or evicted then return {'none'} end
  if s.c == h then
    if s.ce <= now then return {'none'} end
  elseif s.p == h and step.refresh and s.c == step.refresh then
    return {'ok'} -- this step ran before, and its reply was lost
  elseif s.p == h or used(h) then
    local answer = redis.call('GET', KEYS[4])
    if answer then
      if #answer == 0 then return {'busy'} end
      if step.withheld and redis.call('PTTL', KEYS[4]) > step.withheld then return {'busy'} end
      return {'replay', answer}
    end
    if step.end_on_reuse then end_session() end
    return {'used'}
  else
    return {'none'}
  end
elseif not s and not step.create then
  use_code()
  return {code and 'ok' or 'none'}
end
use_code()

if not s then
  s = {v = 1, at = now, g = generation, cg = step.client_generation, f = step.parent}
  if step.max then s.x = now + step.max end
end
if step.doc then s.d = step.doc end
if step.id then s.id = step.id end
if step.ip then s.ip = step.ip end
if step.ua then s.ua = step.ua end
s.l = now

-- retire moves the current refresh token to the used ones, of which the newest 256 are remembered.
local function retire()
  if s.p then
    s.u = string.sub((s.u or '') .. string.sub(s.p, 1, 12), -256 * 12)
  end
  s.p, s.pe = s.c, s.ce
  s.c, s.ce = nil, nil
  local keep = step.doubt or step.grace
  if keep and s.p then redis.call('SET', KEYS[4], ARGV[2] or '', 'PX', keep) end
end

if step.retire then retire() end
if step.refresh then
  if s.c and s.c ~= step.refresh then retire() end
  s.c = step.refresh
  s.ce = now + step.refresh_ttl
  if s.x and s.ce > s.x then s.ce = s.x end
end
-- Self-contained access tokens are signed, and verified before the store is asked. They need no entry: they are valid while
-- the session is, and only those that were revoked one by one are listed. Others are listed, each with its expiry.
local function prune(list)
  if list then
    for h, exp in pairs(list) do
      if exp <= now then list[h] = nil end
    end
  end
end
if step.access then
  prune(s.a)
  local exp = now + step.access_ttl
  if step.self_contained and not s.stored then
    s.j = true
    s.ae = math.max(s.ae or 0, exp)
  else
    s.a = s.a or {}
    s.a[step.access] = exp
  end
end
if step.drop_access then
  if s.a and s.a[step.drop_access] then
    s.a[step.drop_access] = nil
  elseif s.j then
    prune(s.r)
    s.r = s.r or {}
    s.r[step.drop_access] = s.ae
  end
end
if step.drop_refresh then
  if s.c == step.drop_refresh then s.c, s.ce = nil, nil end
  if s.p == step.drop_refresh then s.p, s.pe = nil, nil end
  local found = used(step.drop_refresh)
  if found then s.u = string.sub(s.u, 1, found - 1) .. string.sub(s.u, found + 12) end
end
if step.end_refresh then s.c, s.ce, s.p, s.pe, s.u = nil, nil, nil, nil, nil end
if step.end_access then
  -- Self-contained ones cannot be told from later ones: from now on they are listed.
  if s.j then s.stored = true end
  s.a, s.r, s.j, s.ae = nil, nil, nil, nil
end
if s.a and next(s.a) == nil then s.a = nil end
if s.r and next(s.r) == nil then s.r = nil end
if s.u == '' then s.u = nil end

local ends = math.max(s.ce or 0, s.pe or 0, s.ae or 0)
for _, exp in pairs(s.a or {}) do
  if exp > ends then ends = exp end
end
if ends <= now then
  end_session()
  return {'ok'}
end
redis.call('SET', KEYS[1], cjson.encode(s), 'PX', ends - now)

if step.member then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZADD', KEYS[2], ends, step.member)
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[2], last[2])
  if step.limit and step.refresh and step.create then
    local mine = {}
    for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
      if string.sub(member, -#step.suffix) == step.suffix and member ~= step.member
        and not redis.call('ZSCORE', KEYS[3], string.sub(member, 1, 22)) then
        mine[#mine + 1] = member
      end
    end
    for i = 1, #mine - step.limit + 1 do
      local score = redis.call('ZSCORE', KEYS[2], mine[i])
      redis.call('ZADD', KEYS[3], score, string.sub(mine[i], 1, 22))
    end
    if redis.call('EXISTS', KEYS[3]) == 1 then
      redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
      redis.call('PEXPIREAT', KEYS[3], last[2])
    end
  end
end
return {'ok'}
