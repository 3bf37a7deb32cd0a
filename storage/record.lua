-- The session record, and what all scripts of sessions share. A script of sessions is this file, old_record.lua and its own.
--
-- KEYS  1 session   2 its key of the version before   3 index   4 evicted sessions   5 old index of the subject
--       6 old evicted ones   7 user   8 time before which the subject's sessions ended   then those of the script
-- ARGV  1 the step as JSON   2 name of the session   3 hash of subject and client, if sessions of the two are limited
--       then those of the script
-- step  own: session ID, without those that it was made from; then what the script has
--
-- Numbers are big endian. Times are of Redis's clock: in Lua milliseconds, in the record units of 10 ms.
--
--   1 version: 2     1 flags
--   5 created
--   flag   1    5 generation of the user
--          2    5 generation of the client
--          4   12 hash of the current refresh token   5 expiry   4 its number, 0: none
--          8      access tokens are self-contained
--         16      from now on access tokens are listed all the same
--         32    5 expiry of the last self-contained access token; without it, that of the current
--                  refresh token: it is not later by more than a minute
--         64    5 end of the session, however often it is refreshed
--        128    1 more flags
--               1   12 hash of the access token that the session was made from
--               2    2 length of the request ID, and the ID
--               4    1 number of used refresh tokens that have no number, and 12 of each
--               8    2 number of access tokens, and 12 + 5 of each: hash, expiry
--              16    2 number of revoked ones, likewise
--              32    2 length, used ones of the version before, 12 characters each, and 5: when they may be forgotten
--   the request, which no script looks into
local step, name, mark = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local byte, char, sub = string.byte, string.char, string.sub
local unit, hash_length, used_length = 10, 12, 12
local s -- the session; nil: there is none
local old_name = sub(step.own, 23) -- in keys of the version before

-- max_used is how many used refresh tokens without a number a session remembers.
local max_used = 8

-- access_slack is by how much a self-contained access token may outlive the expiry that the record tells.
local access_slack = 60000

-- max_listed is how many access tokens a session lists, valid or revoked: each step reads and writes the whole record.
local max_listed = 1000

local function bytes(n, size)
  local out = {}
  for i = size, 1, -1 do
    out[i] = char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(out)
end

local function decode(raw)
  local at = 1
  local function take(size)
    local part = sub(raw, at, at + size - 1)
    if #part < size then error('a session record is cut off') end
    at = at + size
    return part
  end
  local function number(size)
    local n = 0
    for i = 1, size do n = n * 256 + byte(take(1)) end
    return n
  end
  local function time() return number(5) * unit end
  local function reader(flags)
    return function(bit) return math.floor(flags / bit) % 2 == 1 end
  end
  local function expiries()
    local list = {}
    for _ = 1, number(2) do
      local h = take(hash_length)
      list[h] = time()
    end
    return list
  end

  if number(1) ~= 2 then return nil end
  local has = reader(number(1))
  local r = {created = time(), number = 0, used = ''}
  if has(1) then r.generation = take(5) end
  if has(2) then r.client_generation = take(5) end
  if has(4) then r.current, r.current_expires, r.number = take(hash_length), time(), number(4) end
  r.self_contained, r.listed = has(8), has(16)
  if has(32) then
    r.access_expires = time()
  elseif r.self_contained then
    r.access_expires = r.current_expires
  end
  if has(64) then r.ends = time() end
  if has(128) then
    has = reader(number(1))
    if has(1) then r.parent = take(hash_length) end
    if has(2) then r.id = take(number(2)) end
    if has(4) then r.used = take(number(1) * hash_length) end
    if has(8) then r.access = expiries() end
    if has(16) then r.revoked = expiries() end
    if has(32) then r.old_used, r.old_used_until = take(number(2)), time() end
  end
  r.body = sub(raw, at)
  return r
end

local function encode(r)
  local out, flags = {}, 0
  local function time(t) out[#out + 1] = bytes(math.ceil(t / unit), 5) end
  local function expiries(list)
    local n, at = 0, #out + 1
    out[at] = ''
    for h, expires in pairs(list) do
      out[#out + 1] = h
      time(expires)
      n = n + 1
    end
    out[at] = bytes(n, 2)
  end
  local function flag(bit, present, write)
    if not present then return end
    flags = flags + bit
    if write then write(present) end
  end
  local function put(text) out[#out + 1] = text end

  out[1], out[2] = '', bytes(math.floor(r.created / unit), 5) -- out[1] becomes version and flags
  flag(1, r.generation, put)
  flag(2, r.client_generation, put)
  flag(4, r.current, function(current)
    put(current)
    time(r.current_expires)
    put(bytes(r.number, 4))
  end)
  flag(8, r.self_contained)
  flag(16, r.listed)
  -- Who asks about a self-contained token has checked its own expiry: here it only keeps the session until then.
  flag(32, not (r.current and r.self_contained and r.access_expires <= r.current_expires + access_slack) and r.access_expires, time)
  flag(64, r.ends, time)
  out[#out + 1] = ''
  local at, first = #out, flags
  flags = 0
  flag(1, r.parent, put)
  flag(2, r.id, function(id) put(bytes(#id, 2) .. id) end)
  flag(4, r.used ~= '' and r.used, function(used) put(bytes(#used / hash_length, 1) .. used) end)
  flag(8, r.access and next(r.access) and r.access, expiries)
  flag(16, r.revoked and next(r.revoked) and r.revoked, expiries)
  flag(32, r.old_used, function(used)
    put(bytes(#used, 2) .. used)
    time(r.old_used_until)
  end)
  if flags > 0 then
    first = first + 128
    out[at] = char(flags)
  end
  out[1] = char(2) .. char(first)
  put(r.body)
  return table.concat(out)
end
