-- The host's side: columns of the rows at hand, and `pos`, the row in question, which no rule sees.
local S = ...
local K, fail, ffi, int = S.K, S.fail, S.ffi, S.int
local type, tonumber, load, cast = type, tonumber, load, S.ffi.cast
local READ_ONLY = -1 -- a generation that no table of a rule has
local pos = -1

local columns = {}

local function checked(column)
  if pos < 0 or pos >= column.count then fail("no event is at hand") end
  return column
end

local function present(column) return column.valid == nil or column.valid[pos] ~= 0 end

local readers = {}

function readers.text(column)
  return function()
    local code = checked(column).data[pos]
    if code == 0 then return nil end
    return column.texts[code]
  end
end

local function integer(sign)
  return function(column)
    return function()
      if not present(checked(column)) then return nil end
      local low, high = column.low[2 * pos], column.high[2 * pos + 1]
      if high >= -2097152 and high < 2097152 then
        local value = high * 4294967296 + low
        if value > -9007199254740992 then return value end
      end
      return int(high < 0 and high + 4294967296 or high, low, sign)
    end
  end
end

readers.int, readers.uint = integer(1), integer(0)

function readers.float(column)
  return function()
    if present(checked(column)) then return column.data[pos] end
  end
end

function readers.bool(column)
  return function()
    if present(checked(column)) then return column.data[pos] ~= 0 end
  end
end

local types = { text = "const int32_t *", float = "const double *", bool = "const uint8_t *" }
local host = {}

-- The next field or test: `into` is K.field or K.test.
local function column(into, what)
  local made = { count = 0, kind = what, texts = {} }
  columns[#columns + 1] = made
  into[#into + 1] = readers[what](made)
end

function host.field(what) column(K.field, what) end
function host.test() column(K.test, "bool") end

-- Sets the rows at hand of a field or test: addresses of values and of a byte each that says which are there, or 0.
function host.bind(number, data, valid, count)
  local own = columns[number]
  own.count = count
  own.valid = valid ~= 0 and cast("const uint8_t *", valid) or nil
  if own.kind == "int" or own.kind == "uint" then
    own.low = cast("const uint32_t *", data)
    own.high = cast(own.kind == "int" and "const int32_t *" or "const uint32_t *", data)
  else
    own.data = cast(types[own.kind], data)
  end
end

-- Adds values of codes to a field: texts lie one after the other in `blob`; text k ends at ends[k]. Where `sizes` is
-- there, the value of a code is a list of so many texts.
function host.learn(number, count, codes, ends, sizes, blob)
  codes, ends = cast("const int64_t *", codes), cast("const int64_t *", ends)
  sizes = sizes ~= 0 and cast("const int64_t *", sizes) or nil
  local texts, base, start, place = columns[number].texts, cast("const char *", blob), 0, 0
  local function take()
    local found = ffi.string(base + start, tonumber(ends[place]) - start)
    start, place = tonumber(ends[place]), place + 1
    return found
  end
  for n = 0, count - 1 do
    local code = tonumber(codes[n])
    if sizes == nil then
      texts[code] = take()
    else
      local items, size = {}, tonumber(sizes[n])
      for index = 1, size do items[index] = take() end
      texts[code] = { h = items, n = size, g = READ_ONLY }
    end
  end
end

-- Adds one value of any kind.
function host.learn_value(number, code, value)
  if type(value) == "table" then value = { h = value, n = value.n, g = READ_ONLY } end
  columns[number].texts[code] = value
end

function host.forget()
  for n = 1, #columns do columns[n].texts = {} end
end

-- A list of values for the host; nil for what is none.
local function given(value)
  if type(value) == "function" then fail("capture gives texts, numbers, booleans and lists of them") end
  if type(value) ~= "table" then return value end
  if value.k ~= nil then fail("capture gives texts, numbers, booleans and lists of them") end
  local out = { n = value.n }
  for place = 1, value.n do
    if type(value.h[place]) == "table" then fail("capture gives no lists of lists") end
    out[place] = given(value.h[place])
  end
  return out
end

local captured = {}

local function take(values)
  local out = { n = 0 }
  if values == nil then return out end
  local name, value = S.following(values, nil)
  while name ~= nil do
    out[out.n + 1], out[out.n + 2], out.n = name, given(value), out.n + 2
    name, value = S.following(values, name)
  end
  return out
end

function host.captured(hit) return captured[hit] end

local PRELUDE = [[
local K, give = ...
local fuel, depth = 0, 0
give(
  function(amount) fuel = fuel - amount if fuel < 0 then K.exhausted() end end,
  function() depth = 0 end,
  function(amount) fuel = amount end,
  function() return fuel end)
give = nil
K.leave = function(...) depth = depth - 1 return ... end
]]

local match, capture

-- Runs the rule's own code, once; its tables are read-only from then on.
function host.load(source, fuel)
  local chunk, what = load(PRELUDE .. source, "=rule", "t", {})
  if chunk == nil then fail(what) end
  pos = -1
  match, capture = chunk(K, function(pay, begin, refuel, fuel_left)
    S.attach(pay, begin)
    host.refuel, host.fuel_left = refuel, fuel_left
    refuel(fuel)
  end)
  if type(match) ~= "function" then fail("match is no function") end
  if capture ~= nil and type(capture) ~= "function" then fail("capture is no function") end
  S.generation = S.generation + 1
end

-- Asks the rule about rows 0 to count - 1; returns how many pass, their numbers at address `out`.
function host.run(count, out)
  local hits = 0
  out, captured = cast("uint32_t *", out), {}
  for n = 0, count - 1 do
    pos = n
    S.begin()
    S.pay(1)
    if match() then
      out[hits] = n
      hits = hits + 1
      if capture ~= nil then captured[hits] = take(capture()) end
    end
  end
  return hits
end

return host
