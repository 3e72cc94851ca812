--[[
  Keeps the answer of the one who is at it. Called again, it finds an answer and does nothing.

  KEYS[1] answer: as in answers-begin.lua

  ARGV[1] holder
  ARGV[2] answer
  ARGV[3] how long to keep it, in milliseconds
  ARGV[4] time, or "" for the server's

  Returns 1 when kept, else 0.
]]
--- @include "now"
--- @include "damaged"
local now = millisNow(ARGV[4])
local kept = redis.call("HMGET", KEYS[1], "holder", "endsAt", "answer")
local endsAt = tonumber(kept[2] or "0")
if not endsAt then return damaged(KEYS[1], "no end") end
if endsAt <= now or kept[1] ~= ARGV[1] or kept[3] then return 0 end
local ends = string.format("%.0f", now + tonumber(ARGV[3]))
redis.call("HSET", KEYS[1], "answer", ARGV[2], "endsAt", ends)
if ARGV[4] == "" then redis.call("PEXPIREAT", KEYS[1], ends) end
return 1
