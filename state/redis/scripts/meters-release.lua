--[[
  Ends holds, whether their takes are live or not. Called again, it finds none and does nothing.

  KEYS[1] holds, KEYS[2] hold ends, KEYS[3] held: as in meters-take.lua

  ARGV    an id each

  Returns 1.
]]
--- @include "damaged"
--- @include "holds"
if not heldSum(KEYS[3]) then return damaged(KEYS[3], "no amount") end
redis.call("HLEN", KEYS[1])
redis.call("ZCARD", KEYS[2])

dropHolds(KEYS[1], KEYS[2], KEYS[3], ARGV)
return 1
