--[[
  Begins to answer a question, unless somebody is at it or it was answered.

  KEYS[1] answer: hash, "digest", "holder", "endsAt", and "answer" once there is one. By the server's own time it expires
          with its end; by a test's it is only taken for absent.

  ARGV[1] digest of the question
  ARGV[2] holder
  ARGV[3] term in milliseconds
  ARGV[4] time, or "" for the server's

  Returns {"begun"}, {"running", milliseconds left}, {"other_question"} or {"done", answer}.
]]
--- @include "now"
--- @include "damaged"
local now = millisNow(ARGV[4])
local kept = redis.call("HMGET", KEYS[1], "digest", "holder", "endsAt", "answer")
local endsAt = tonumber(kept[3] or "0")
if not endsAt then return damaged(KEYS[1], "no end") end
if endsAt > now then
  if kept[1] ~= ARGV[1] then return { "other_question" } end
  if kept[4] then return { "done", kept[4] } end
  if kept[2] ~= ARGV[2] then return { "running", string.format("%.0f", endsAt - now) } end
end
local ends = string.format("%.0f", now + tonumber(ARGV[3]))
redis.call("HSET", KEYS[1], "digest", ARGV[1], "holder", ARGV[2], "endsAt", ends)
redis.call("HDEL", KEYS[1], "answer")
if ARGV[4] == "" then redis.call("PEXPIREAT", KEYS[1], ends) end
return { "begun" }
