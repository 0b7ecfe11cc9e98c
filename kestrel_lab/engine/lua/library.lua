-- Numbers and texts. What is done with a missing value is missing, and no order holds for it.
local S = ...
local K, fail, kind, grow, pay, limits = S.K, S.fail, S.kind, S.grow, S.pay, S.limits
local type, select, tostring, concat = type, select, tostring, table.concat
local floor, ceil, fmod, abs = math.floor, math.ceil, math.fmod, math.abs
local byte, find, lower, sub, upper = string.byte, string.find, string.lower, string.sub, string.upper

local function order_fault(a, b) fail("a " .. kind(a) .. " has no order with a " .. kind(b)) end

local function numeric(value)
  local found = type(value)
  return found == "number" or found == "cdata"
end

local function shorter(a, b) return floor((#a < #b and #a or #b) / 16) end

local function less(a, b)
  if type(a) == "number" and type(b) == "number" then return a < b end
  if a == nil or b == nil then return false end
  if numeric(a) and numeric(b) then return a < b end
  if type(a) ~= "string" or type(b) ~= "string" then order_fault(a, b) end
  pay(shorter(a, b))
  return a < b
end

local function at_most(a, b)
  if type(a) == "number" and type(b) == "number" then return a <= b end
  if a == nil or b == nil then return false end
  if numeric(a) and numeric(b) then return a <= b end
  if type(a) ~= "string" or type(b) ~= "string" then order_fault(a, b) end
  pay(shorter(a, b))
  return a <= b
end

K.lt, K.le = less, at_most
function K.gt(a, b) return less(b, a) end
function K.ge(a, b) return at_most(b, a) end

local function check_number(value)
  if type(value) ~= "number" then fail("a " .. kind(value) .. " cannot be reckoned with") end
  return value
end

K.number = check_number

local function reckoned(a, b)
  if a == nil or b == nil then return false end
  check_number(a)
  check_number(b)
  return true
end

function K.add(a, b)
  if type(a) == "number" and type(b) == "number" or reckoned(a, b) then return a + b end
end
function K.sub(a, b)
  if type(a) == "number" and type(b) == "number" or reckoned(a, b) then return a - b end
end
function K.mul(a, b)
  if type(a) == "number" and type(b) == "number" or reckoned(a, b) then return a * b end
end
function K.div(a, b)
  if type(a) == "number" and type(b) == "number" or reckoned(a, b) then return a / b end
end
function K.mod(a, b)
  if type(a) == "number" and type(b) == "number" or reckoned(a, b) then return a - floor(a / b) * b end
end
function K.minus(a)
  if a ~= nil then return -check_number(a) end
end

function K.size(value)
  if value == nil then return 0 end
  if type(value) == "string" then return #value end
  if type(value) ~= "table" then fail("a " .. kind(value) .. " has no length") end
  return value.n
end

local function check_text(value)
  if type(value) ~= "string" then fail("a " .. kind(value) .. " is no text") end
  return value
end

local function grow_text(size)
  if size > limits.text then fail("the text is too long") end
  grow(size + 32)
end

local function text(value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return value ~= value and "nan" or tostring(value) end
  if type(value) == "cdata" then return tostring(value) end
  fail("a " .. kind(value) .. " cannot be joined to a text")
end

function K.join(count, a, b, ...)
  if count == 2 then
    if a == nil or b == nil then return nil end
    a, b = text(a), text(b)
    grow_text(#a + #b)
    return a .. b
  end
  local parts, size = { a, b, ... }, 0
  for place = 1, count do
    if parts[place] == nil then return nil end
    parts[place] = text(parts[place])
    size = size + #parts[place]
  end
  grow_text(size)
  return concat(parts)
end

function K.math_abs(a)
  if a ~= nil then return abs(check_number(a)) end
end
function K.math_ceil(a)
  if a ~= nil then return ceil(check_number(a)) end
end
function K.math_floor(a)
  if a ~= nil then return floor(check_number(a)) end
end
function K.math_fmod(a, b)
  if reckoned(a, b) then return fmod(a, b) end
end

-- Of two numbers that have no order, or are both zero, the first.
local function greater(a, b)
  if reckoned(a, b) then return a < b and b or a end
end
local function lesser(a, b)
  if reckoned(a, b) then return b < a and b or a end
end

local function best(choose, a, ...)
  local others = select("#", ...)
  if others == 0 then return a ~= nil and check_number(a) or nil end
  if others == 1 then return choose(a, (...)) end
  local found, rest = a, { ... }
  grow(16 * others)
  for place = 1, others do found = choose(found, rest[place]) end
  return found
end

function K.math_max(a, ...) return best(greater, a, ...) end
function K.math_min(a, ...) return best(lesser, a, ...) end

local function whole(value, default)
  if value == nil then return default end
  check_number(value)
  if value ~= floor(value) or abs(value) > 2147483647 then fail("a place in a text is a whole number") end
  return value
end

function K.string_len(s)
  if s ~= nil then return #check_text(s) end
end

function K.string_byte(s, i)
  if s == nil then return nil end
  return (byte(check_text(s), whole(i, 1)))
end

function K.string_lower(s)
  if s == nil then return nil end
  grow_text(#check_text(s))
  return lower(s)
end

function K.string_upper(s)
  if s == nil then return nil end
  grow_text(#check_text(s))
  return upper(s)
end

function K.string_sub(s, i, j)
  if s == nil then return nil end
  grow_text(#check_text(s))
  return sub(s, whole(i, 1), whole(j, -1))
end

function K.string_find(s, wanted, from, plain)
  if s == nil or wanted == nil then return nil end
  check_text(s)
  check_text(wanted)
  pay(floor((#s + 1) * (#wanted + 1) / 64) + floor(#s / 16) + 1)
  if plain ~= true and find(wanted, "[%^%$%*%+%?%.%(%[%%%-]") then
    fail("string.find looks for plain text: give true as its fourth argument")
  end
  return find(s, wanted, whole(from, 1), true)
end

-- Tests of texts that are no fields, remembered for some of them. They cost the same, remembered or not.

local known, knows = {}, 0

local function remembered(number, value)
  pay(800 + #check_text(value))
  local of_test = known[number]
  if of_test == nil or knows >= limits.remembered then
    if knows >= limits.remembered then known, knows = {}, 0 end
    of_test = {}
    known[number] = of_test
  end
  local found = of_test[value]
  if found == nil then
    found = S.ask(number, value)
    of_test[value], knows = found, knows + 1
  end
  return found
end

function K.match(number, value)
  if value == nil then return false end
  if type(value) ~= "table" then return remembered(number, value) end
  for place = 1, value.n do
    if remembered(number, value.h[place]) then return true end
  end
  return false
end
