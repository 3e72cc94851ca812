--[[
  Ends a live take: what was drawn and not used goes back, what was used beyond it is drawn. Called again, it finds no
  live take and does nothing.

  KEYS[1] buckets, KEYS[2] takes, KEYS[3] ends, KEYS[4] holds, KEYS[5] hold ends, KEYS[6] held: as in meters-take.lua

  ARGV[1] time, or "" for the server's
  ARGV[2] id
  ARGV[3] what becomes of its hold: "ends" or "stays"
  ARGV[4…] for each meter of which something was used: meter, amount

  Returns 1 when it was live, else 0.
]]
--- @include "now"
--- @include "damaged"
--- @include "takes"
--- @include "bucket"
local now = millisNow(ARGV[1])
local id = ARGV[2]
if not heldSum(KEYS[6]) then return damaged(KEYS[6], "no amount") end
redis.call("HLEN", KEYS[1])

endWhatIsOver(now)
local take = redis.call("HGET", KEYS[2], id)
if not take then return 0 end
local used = {}
for index = 4, #ARGV, 2 do
  used[ARGV[index]] = tonumber(ARGV[index + 1])
end
local levels = {}
local forgottenMs = 0
for _, draw in ipairs(cjson.decode(take).draws) do
  local meter, amount, limit, windowMs = draw[1], tonumber(draw[2]), tonumber(draw[3]), tonumber(draw[4])
  local level = levelNow(redis.call("HGET", KEYS[1], meter), limit, windowMs, now)
  if not level then return damaged(KEYS[1], "no level of the meter " .. meter) end
  levels[meter] = drawn(level, limit, (used[meter] or 0) - amount)
  forgottenMs = math.max(forgottenMs, fullInMs(levels[meter], limit, windowMs) + windowMs)
end
for meter, level in pairs(levels) do
  redis.call("HSET", KEYS[1], meter, levelText(level))
end
if forgottenMs > 0 and ARGV[1] == "" then forgetLater(KEYS[1], forgottenMs) end
redis.call("HDEL", KEYS[2], id)
redis.call("ZREM", KEYS[3], id)
if ARGV[3] == "ends" then dropHolds(KEYS[4], KEYS[5], KEYS[6], { id }) end
return 1
