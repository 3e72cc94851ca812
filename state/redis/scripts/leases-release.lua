--[[
  Gives a lease back, if it is the holder's.

  KEYS[1] lease: as in leases-acquire.lua

  ARGV[1] holder

  Returns 1 when it was the holder's, else 0.
]]
if redis.call("HGET", KEYS[1], "holder") ~= ARGV[1] then return 0 end
redis.call("HSET", KEYS[1], "endsAt", "0")
return 1
