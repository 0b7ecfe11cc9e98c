-- The ground of what a rewritten rule may call, as `K`: failing, and paying for what grows. The other files add to it.
-- A rule reaches nothing else of Lua: its text names variables of its own and entries of `K`, and there are no globals.
local ffi, int, ask, limits = ...
local type, error, floor = type, error, math.floor
getmetatable("").__index = nil

local K = { field = {}, test = {}, deepest = limits.depth }
local S = { K = K, ffi = ffi, int = int, ask = ask, limits = limits, generation = 0 }
local memory, meter, begin = 0, nil, nil

local function fail(what) error(what, 0) end
S.fail = fail

function S.kind(value)
  local found = type(value)
  return found == "nil" and "missing value" or found == "cdata" and "integer beyond 53 bits" or found
end

function K.exhausted() fail("fuel") end
function K.too_deep() fail("functions call one another too deep") end

-- Takes the functions of a loaded rule that see its counters.
function S.attach(pay, start) meter, begin = pay, start end

function S.pay(amount) meter(amount) end

-- Pays for `bytes` of memory; what one event takes is bounded.
function S.grow(bytes)
  memory = memory + bytes
  if memory > limits.memory then fail("too much memory for one event") end
  meter(floor(bytes / 4) + 1)
end

function S.begin()
  memory = 0
  begin()
end

function K.closure(value)
  S.grow(64)
  return value
end

function K.int(high, low, sign) return int(high, low, sign) end

return S
