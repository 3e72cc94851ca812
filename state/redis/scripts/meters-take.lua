--[[
  Takes everything that is asked for, or nothing. The same id again, while it is live, gets the first answer.

  KEYS[1] buckets: hash, meter -> level (include/bucket.lua)
  KEYS[2] takes: hash, id of a live take -> JSON of its draws (meter, amount, limit, window) and its answer
  KEYS[3] ends: sorted set, id of a live take with the time at which it ends by itself
  KEYS[4] holds: hash, id -> amount
  KEYS[5] hold ends: sorted set, id of a hold with the time at which it ends by itself
  KEYS[6] held: the sum of all holds
  KEYS[7] counters: of the group that says what is spent, as in journal-commit.lua; only with a hold

  ARGV[1] time, or "" for the server's
  ARGV[2] id
  ARGV[3] life in milliseconds
  ARGV[4] how many takes may be live, or ""
  ARGV[5] amount of the hold, or "" for none
  ARGV[6] budget
  ARGV[7] name of the counter that says what is spent
  ARGV[8…] for each draw: meter, amount, limit, window in milliseconds

  Returns {"taken", budget left or "", then for each draw: meter, what is left of it, milliseconds until it is full}
  or {"live" or "budget" or the number of the draw that is short, wait in milliseconds or "", then as above}.
]]
--- @include "now"
--- @include "damaged"
--- @include "takes"
--- @include "bucket"
local now = millisNow(ARGV[1])
local id = ARGV[2]
if not heldSum(KEYS[6]) then return damaged(KEYS[6], "no amount") end

local draws, levels = {}, {}
for first = 8, #ARGV, 4 do
  local draw = { meter = ARGV[first], amount = tonumber(ARGV[first + 1]), limit = tonumber(ARGV[first + 2]), windowMs = tonumber(ARGV[first + 3]) }
  local level = levelNow(redis.call("HGET", KEYS[1], draw.meter), draw.limit, draw.windowMs, now)
  if not level then return damaged(KEYS[1], "no level of the meter " .. draw.meter) end
  draws[#draws + 1], levels[#levels + 1] = draw, level
end
local spent = { 0, 0 }
if ARGV[5] ~= "" then spent = wholeOf(redis.call("HGET", KEYS[7], ARGV[7]) or "0") end
if not spent then return damaged(KEYS[7], "no amount in the counter " .. ARGV[7]) end

local held = endWhatIsOver(now)
local first = redis.call("HGET", KEYS[2], id)
if first then return cjson.decode(first).answer end

local function answerOf(what, detail)
  local answer = { what, detail }
  for index, draw in ipairs(draws) do
    tell(answer, draw.meter, levels[index], draw.limit, draw.windowMs)
  end
  return answer
end

if ARGV[4] ~= "" and redis.call("ZCARD", KEYS[3]) >= tonumber(ARGV[4]) then return answerOf("live", "") end
for index, draw in ipairs(draws) do
  if draw.amount > levels[index].tokens then
    return answerOf(tostring(index), roomInMs(levels[index], draw.limit, draw.windowMs, draw.amount))
  end
end
local budgetLeft = ""
if ARGV[5] ~= "" then
  -- A hold that still stays under this id gives way to the new one.
  local others = sum(held, negative(wholeOf(redis.call("HGET", KEYS[4], id) or "0") or { 0, 0 }))
  local heldThen = sum(others, wholeOf(ARGV[5]))
  local left = sum(wholeOf(ARGV[6]), negative(sum(spent, heldThen)))
  if not atMost({ 0, 0 }, left) then return answerOf("budget", "") end
  budgetLeft = textOf(left)
  redis.call("HSET", KEYS[4], id, ARGV[5])
  redis.call("ZADD", KEYS[5], string.format("%.0f", now + tonumber(ARGV[3])), id)
  setHeld(KEYS[6], heldThen)
end

local kept = {}
local forgottenMs = 0
for index, draw in ipairs(draws) do
  levels[index] = drawn(levels[index], draw.limit, draw.amount)
  redis.call("HSET", KEYS[1], draw.meter, levelText(levels[index]))
  forgottenMs = math.max(forgottenMs, fullInMs(levels[index], draw.limit, draw.windowMs) + draw.windowMs)
  kept[index] = { draw.meter, ARGV[4 + 4 * index + 1], ARGV[4 + 4 * index + 2], ARGV[4 + 4 * index + 3] }
end
if forgottenMs > 0 and ARGV[1] == "" then forgetLater(KEYS[1], forgottenMs) end
local answer = answerOf("taken", budgetLeft)
redis.call("HSET", KEYS[2], id, cjson.encode({ draws = kept, answer = answer }))
redis.call("ZADD", KEYS[3], string.format("%.0f", now + tonumber(ARGV[3])), id)
return answer
