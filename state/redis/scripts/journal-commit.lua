--[[
  Does everything of a change to a book, or nothing: a script is not rolled back, so that all that could refuse is looked
  at before the first write. Called again, it finds another head and does nothing.

  KEYS[1] book: hash, "position", "hash" and "value:<key>"
  KEYS[2] lines: stream, id <position>-0, fields "text" and "hash"
  KEYS[3] groups: sorted set of the names of counter groups, all with score 0
  KEYS[4] holds, KEYS[5] hold ends, KEYS[6] held: of the account of the book's name, as in meters-take.lua
  KEYS[7…] counters: hash, one for each group of the change

  ARGV[1] position on which the change is based
  ARGV[2] number of lines, then for each: text, hash
  next    number of values, then for each: key, value
  next    number of groups, then for each, in the order of KEYS[7…]: name, number of its counters, then for each: name, amount
  next    number of releases, then for each: id

  Returns 1 when committed, 0 on a conflict; an error OVERFLOW <counter's name> when a counter would leave its 64 bits.
]]
--- @include "damaged"
--- @include "holds"
local at = 1
local function nextArg()
  at = at + 1
  return ARGV[at]
end

-- One HSET for many fields, though not for more than Lua's stack holds.
local FIELDS_MAX = 2000
local function setFields(key, fields)
  for first = 1, #fields, FIELDS_MAX do
    redis.call("HSET", key, unpack(fields, first, math.min(first + FIELDS_MAX - 1, #fields)))
  end
end

local position = redis.call("HGET", KEYS[1], "position") or "0"
if position ~= ARGV[1] then return 0 end
redis.call("XLEN", KEYS[2])
redis.call("ZCARD", KEYS[3])
redis.call("HLEN", KEYS[4])
redis.call("ZCARD", KEYS[5])
if not heldSum(KEYS[6]) then return damaged(KEYS[6], "no amount") end

local lines, fields, groups, counters = {}, {}, {}, {}
for line = 1, tonumber(nextArg()) do
  lines[line] = { text = nextArg(), hash = nextArg() }
end
for _ = 1, tonumber(nextArg()) do
  fields[#fields + 1] = "value:" .. nextArg()
  fields[#fields + 1] = nextArg()
end
for group = 1, tonumber(nextArg()) do
  groups[group] = nextArg()
  local sums = {}
  for _ = 1, tonumber(nextArg()) do
    local name, amount = nextArg(), wholeOf(nextArg())
    local before = sums[name] or wholeOf(redis.call("HGET", KEYS[6 + group], name) or "0")
    if not before then return damaged(KEYS[6 + group], "no amount in the counter " .. name) end
    sums[name] = sum(before, amount)
    if not fits64(sums[name]) then return redis.error_reply("OVERFLOW " .. name) end
  end
  counters[group] = sums
end

-- From here on only writes. The first one refuses when the stream is further than the head says.
local number = tonumber(position)
for index, line in ipairs(lines) do
  redis.call("XADD", KEYS[2], string.format("%.0f-0", number + index), "text", line.text, "hash", line.hash)
end
redis.call("HSET", KEYS[1], "position", string.format("%.0f", number + #lines), "hash", lines[#lines].hash)
setFields(KEYS[1], fields)
for group, name in ipairs(groups) do
  local amounts = {}
  for counter, amount in pairs(counters[group]) do
    amounts[#amounts + 1] = counter
    amounts[#amounts + 1] = textOf(amount)
  end
  redis.call("ZADD", KEYS[3], 0, name)
  setFields(KEYS[6 + group], amounts)
end
local released = {}
for release = 1, tonumber(nextArg()) do
  released[release] = nextArg()
end
dropHolds(KEYS[4], KEYS[5], KEYS[6], released)
return 1
