-- Tables of rules: { h = values by key, n = length, g = S.generation }, a list as long as its keys are 1 to n in order;
-- otherwise k = keys in the order they came, c = how many, at = place of each. Those of events and, once the rule is
-- loaded, those made while it was loaded are read-only. Whatever grows pays for it before it grows.
local S = ...
local K, fail, kind, grow, pay = S.K, S.fail, S.kind, S.grow, S.pay
local type, floor = type, math.floor

local function unlist(t)
  local keys, at = {}, {}
  grow(32 * t.n)
  for place = 1, t.n do keys[place], at[place] = place, place end
  t.k, t.at, t.c = keys, at, t.n
end

local function check_key(k)
  if k == nil then fail("nil is no key of a table") end
  if k ~= k then fail("NaN is no key of a table") end
  if type(k) == "cdata" then fail("an integer beyond 53 bits is no key of a table") end
end

-- The length is the number of keys 1, 2, 3, ... that have a value, up to the first that has none.
local function measure(t, k, v)
  if v == nil then
    if type(k) == "number" and k >= 1 and k <= t.n and k == floor(k) then t.n = k - 1 end
  elseif k == t.n + 1 then
    local h, n = t.h, t.n + 1
    while h[n + 1] ~= nil do
      pay(1)
      n = n + 1
    end
    t.n = n
  end
end

local function put(t, k, v)
  local h = t.h
  if t.k == nil then
    if v ~= nil and type(k) == "number" and k >= 1 and k <= t.n + 1 and k == floor(k) then
      if k > t.n then
        grow(16)
        t.n = k
      end
      h[k] = v
      return
    end
    unlist(t)
  end
  if t.at[k] == nil then
    if v == nil then return end
    grow(64)
    t.c = t.c + 1
    t.k[t.c], t.at[k] = k, t.c
  end
  h[k] = v
  measure(t, k, v)
end

function K.set(t, k, v)
  if type(t) ~= "table" then fail("a " .. kind(t) .. " has no entries to set") end
  if t.g ~= S.generation then fail("this table is read-only") end
  check_key(k)
  put(t, k, v)
end

function K.get(t, k)
  if type(t) == "table" then
    if type(k) == "cdata" then check_key(k) end
    if k == nil then return nil end
    return t.h[k]
  end
  if t == nil then return nil end
  fail("a " .. kind(t) .. " has no entries")
end

function K.list(count, items)
  grow(128 + 16 * count)
  local t = { h = items, n = count, g = S.generation }
  for place = 1, count do
    if items[place] == nil then
      t.h, t.n = {}, 0
      for index = 1, count do
        if items[index] ~= nil then put(t, index, items[index]) end
      end
      return t
    end
  end
  return t
end

function K.table(count, pairs)
  grow(192)
  local t = { h = {}, n = 0, g = S.generation }
  for place = 1, count do
    check_key(pairs[2 * place - 1])
    put(t, pairs[2 * place - 1], pairs[2 * place])
  end
  return t
end

function S.following(t, key)
  local h = t.h
  if t.k == nil then
    local place = key == nil and 1 or key + 1
    if place > t.n then return nil end
    return place, h[place]
  end
  local keys, place = t.k, 0
  if key ~= nil then place = t.at[key] or fail("next of a key that is not there") end
  while true do
    place = place + 1
    local found = keys[place]
    if found == nil then return nil end
    local value = h[found]
    if value ~= nil then return found, value end
    pay(1)
  end
end

function K.next(t, key)
  if t == nil then return nil end
  if type(t) ~= "table" then fail("a " .. kind(t) .. " has no entries") end
  if key ~= nil and t.k == nil and (type(key) ~= "number" or key < 1 or key > t.n or key ~= floor(key)) then
    fail("next of a key that is not there")
  end
  return S.following(t, key)
end

function K.pairs(t) return K.next, t, nil end

local function item(t, place)
  if t == nil then return nil end
  place = place + 1
  local value = t.h[place]
  if value == nil then return nil end
  return place, value
end

function K.ipairs(t)
  if t ~= nil and type(t) ~= "table" then fail("a " .. kind(t) .. " has no entries") end
  return item, t, 0
end
