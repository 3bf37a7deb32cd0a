-- Records of the version before: JSON under another key, or under the present one where save was interrupted. They are read here and
-- moved by save.

-- unbase64 returns the first bytes of base64url text.
local function unbase64(text, size)
  local function digit(c)
    if c >= 97 then return c - 71 end -- a to z
    if c == 95 then return 63 end     -- _
    if c >= 65 then return c - 65 end -- A to Z
    if c >= 48 then return c + 4 end  -- 0 to 9
    return 62                         -- -
  end
  local out, value, bits = '', 0, 0
  for i = 1, #text do
    value, bits = value * 64 + digit(byte(text, i)), bits + 6
    if bits >= 8 then
      bits = bits - 8
      out = out .. char(math.floor(value / 2 ^ bits))
      value = value % 2 ^ bits
    end
    if #out == size then break end
  end
  return out
end

-- generation_bytes is rawGeneration of session_record.go.
local function generation_bytes(text)
  if not text or text == '' then return nil end
  if #text == 8 and not string.find(text, '[^%w_-]') then return unbase64(text, 5) end
  local hex, out = redis.sha1hex(text), ''
  for i = 1, 9, 2 do out = out .. char(tonumber(sub(hex, i, i + 1), 16)) end
  return out
end

local function expiries_of(list)
  if not list then return nil end
  local out = {}
  for h, expires in pairs(list) do out[unbase64(h, hash_length)] = expires end
  return out
end

-- convert reads an old record. Its request stays inside the text, which becomes the body.
local function convert(raw)
  local o = cjson.decode(raw)
  if type(o) ~= 'table' or o.v ~= 1 then return nil end
  local r = {
    created = o.at, generation = generation_bytes(o.g), client_generation = generation_bytes(o.cg),
    number = 0, used = '', self_contained = o.j, listed = o.stored, access_expires = o.ae, ends = o.x, id = o.id or step.own,
    access = expiries_of(o.a), revoked = expiries_of(o.r), body = raw,
  }
  if o.f then r.parent = unbase64(o.f, hash_length) end
  if o.c then r.current, r.current_expires = unbase64(o.c, hash_length), o.ce end
  if o.p then r.used = unbase64(o.p, hash_length) end
  if o.u then r.old_used, r.old_used_until = o.u, math.max(o.ce or 0, o.pe or 0) end
  return r
end

-- in_old_index tells whether a session of the version before is in the index of its subject.
local function in_old_index()
  for _, member in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
    if sub(member, 1, #old_name) == old_name then return true end
  end
  return false
end

local function remove_from_old_index()
  for _, member in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
    if sub(member, 1, #old_name) == old_name then redis.call('ZREM', KEYS[5], member) end
  end
  redis.call('ZREM', KEYS[6], old_name)
end
