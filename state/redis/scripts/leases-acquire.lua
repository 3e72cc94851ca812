--[[
  Takes a lease that nobody holds, or renews it for its holder.

  KEYS[1] lease: hash, "holder", "epoch" and "endsAt". It stays when the lease ends: the epoch goes on from where it was.

  ARGV[1] holder
  ARGV[2] term in milliseconds
  ARGV[3] time, or "" for the server's

  Returns {1, epoch} when held, else {0, holder, milliseconds left}.
]]
--- @include "now"
--- @include "damaged"
local now = millisNow(ARGV[3])
local kept = redis.call("HMGET", KEYS[1], "holder", "epoch", "endsAt")
local epoch, endsAt = tonumber(kept[2] or "0"), tonumber(kept[3] or "0")
if not epoch or not endsAt then return damaged(KEYS[1], "no epoch or no end") end
local live = endsAt > now
if live and kept[1] ~= ARGV[1] then return { 0, kept[1], string.format("%.0f", endsAt - now) } end
if not live then epoch = epoch + 1 end
redis.call("HSET", KEYS[1], "holder", ARGV[1], "epoch", string.format("%.0f", epoch), "endsAt", string.format("%.0f", now + tonumber(ARGV[2])))
return { 1, string.format("%.0f", epoch) }
