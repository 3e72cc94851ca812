--[[
  How many takes of an account are live, and the sum of all its holds.

  KEYS[1] buckets, KEYS[2] takes, KEYS[3] ends, KEYS[4] holds, KEYS[5] hold ends, KEYS[6] held: as in meters-take.lua

  ARGV[1] time, or "" for the server's

  Returns {count, amount}.
]]
--- @include "now"
--- @include "damaged"
--- @include "takes"
if not heldSum(KEYS[6]) then return damaged(KEYS[6], "no amount") end
local held = endWhatIsOver(millisNow(ARGV[1]))
return { redis.call("ZCARD", KEYS[3]), textOf(held) }
