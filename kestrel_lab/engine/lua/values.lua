-- Values between host and rules. Lua numbers are doubles, so integers of 64 bits are boxed: a cdata of their bits and
-- whether the top bit counts as a sign, compared exactly with each other and with numbers (5LL == 5.5 is true in plain
-- LuaJIT). What goes to the host is described on this side of the border, where -0 and 5.0 still are what they are.
local ffi = require("ffi")
ffi.cdef("typedef struct { uint64_t bits; uint8_t sign; } kestrel_lab_int;")

local floor, gsub, type, tostring = math.floor, string.gsub, type, tostring
local int_type

local function is_int(value)
  return type(value) == "cdata" and ffi.istype(int_type, value)
end

local function negative(value)
  return value.sign == 1 and value.bits >= 0x8000000000000000ULL
end

-- -1, 0 or 1 for two boxed integers.
local function order(a, b)
  local below, beneath = negative(a), negative(b)
  if below ~= beneath then return below and -1 or 1 end
  if a.bits == b.bits then return 0 end
  return a.bits < b.bits and -1 or 1
end

local function box(number)
  if number < 0 then return int_type(ffi.cast("uint64_t", ffi.cast("int64_t", number)), 1) end
  return int_type(ffi.cast("uint64_t", number), 0)
end

-- -1, 0 or 1 for a boxed integer and a number; nil for NaN.
local function order_number(a, number)
  if number ~= number then return nil end
  if number >= 18446744073709551616 then return -1 end
  if number < -9223372036854775808 then return 1 end
  local whole = floor(number)
  local found = order(a, box(whole))
  if found == 0 and number > whole then return -1 end
  return found
end

local function compare(a, b)
  if is_int(a) then
    if is_int(b) then return order(a, b) end
    return type(b) == "number" and order_number(a, b) or nil
  end
  local found = type(a) == "number" and order_number(b, a)
  return found and -found or nil
end

int_type = ffi.metatype("kestrel_lab_int", {
  __eq = function(a, b) return compare(a, b) == 0 end,
  __lt = function(a, b) return compare(a, b) == -1 end,
  __le = function(a, b)
    local found = compare(a, b)
    return found == -1 or found == 0
  end,
  __tostring = function(a)
    local text = tostring(a.sign == 1 and ffi.cast("int64_t", a.bits) or a.bits)
    return (gsub(text, "U?LL$", ""))
  end,
})

local double = ffi.typeof("double[1]")

-- A tag and what the host can take without loss: a double as its 8 bytes, an integer as two halves and its sign.
local function describe(value)
  local kind = type(value)
  if kind == "number" then return "number", ffi.string(double(value), 8) end
  if kind == "table" then return "list", value.n, value end
  if is_int(value) then
    local low = tonumber(value.bits % 4294967296ULL)
    return "int", tonumber(value.bits / 4294967296ULL), low, value.sign
  end
  return kind, value
end

return {
  int = function(high, low, sign)
    return int_type(ffi.cast("uint64_t", high) * 4294967296ULL + ffi.cast("uint64_t", low), sign)
  end,
  list = function(count) return { n = count } end,
  put = function(list, index, value) list[index] = value end,
  get = function(list, index) return describe(list[index]) end,
  call = function(call, ...) return describe(call(...)) end,
}
