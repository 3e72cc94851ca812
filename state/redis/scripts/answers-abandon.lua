--[[
  Forgets what a holder is at; not what is done.

  KEYS[1] answer: as in answers-begin.lua

  ARGV[1] holder

  Returns 1 when forgotten, else 0.
]]
local kept = redis.call("HMGET", KEYS[1], "holder", "answer")
if kept[1] ~= ARGV[1] or kept[2] then return 0 end
redis.call("DEL", KEYS[1])
return 1
