--[[
  Announces a member, lets it leave, or neither; and tells of all who are announced.

  KEYS[1] members: hash, "<kind> <name>" -> "<epoch> <endsAt> <draining> <generation> <address>"; and three fields more:
          "epoch", the last that was given; "heardAt", when a member was last heard; "since", from when on some member was
          heard again and again. A registry that is new, or was away, has a young "since": not everybody has been back yet.

  ARGV[1] time, or "" for the server's
  ARGV[2] "stay", "leave" or "look"
  ARGV[3] silence: without a word from any member for so many milliseconds, the registry was away

  For "stay" and "leave":
  ARGV[4] "<kind> <name>"
  ARGV[5] generation: which of the processes that have had this name
  ARGV[6] the epoch that this generation was given, or "" at first. A later generation has a higher one.
  ARGV[7] term in milliseconds
  ARGV[8] draining: "1" or "0"
  ARGV[9] address
  ARGV[10] how many members there may be

  Returns {epoch, "" when a later generation has the name, or "full"; milliseconds of "since"; member, address, draining, …}.
]]
--- @include "now"
local now = millisNow(ARGV[1])

local function memberOf(kept)
  local epoch, endsAt, draining, generation, address = string.match(kept or "", "^(%d+) (%d+) ([01]) (%S+) (%S+)$")
  if not epoch then return nil end
  return { epoch = tonumber(epoch), endsAt = tonumber(endsAt), draining = draining, generation = generation, address = address }
end

local function numberAt(field)
  return tonumber(redis.call("HGET", KEYS[1], field) or "0") or 0
end

local function set(field, number)
  redis.call("HSET", KEYS[1], field, string.format("%.0f", number))
end

-- An epoch for this generation; nil when a later one has the name.
local function epochOf(kept)
  if kept and kept.generation == ARGV[5] then return kept.epoch end
  local given = tonumber(ARGV[6])
  if given then return (not kept or kept.epoch < given) and given or nil end
  local epoch = math.max(numberAt("epoch"), kept and kept.epoch or 0) + 1
  set("epoch", epoch)
  return epoch
end

-- Forgets whose term is over.
local function sweep()
  local all = redis.call("HGETALL", KEYS[1])
  for at = 1, #all, 2 do
    local kept = memberOf(all[at + 1])
    local isMember = string.find(all[at], " ", 1, true)
    if isMember and not (kept and kept.endsAt > now) then redis.call("HDEL", KEYS[1], all[at]) end
  end
end

local function stay()
  local kept = memberOf(redis.call("HGET", KEYS[1], ARGV[4]))
  if not kept and redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[10]) then return "full" end
  local epoch = epochOf(kept)
  if not epoch then return "" end
  local text = string.format("%.0f", epoch)
  local ends = string.format("%.0f", now + tonumber(ARGV[7]))
  redis.call("HSET", KEYS[1], ARGV[4], text .. " " .. ends .. " " .. ARGV[8] .. " " .. ARGV[5] .. " " .. ARGV[9])
  return text
end

local function leave()
  local kept = memberOf(redis.call("HGET", KEYS[1], ARGV[4]))
  if kept and kept.generation == ARGV[5] then redis.call("HDEL", KEYS[1], ARGV[4]) end
  return ""
end

local epoch = ""
if ARGV[2] ~= "look" then
  if now - numberAt("heardAt") > tonumber(ARGV[3]) then set("since", now) end
  set("heardAt", now)
  sweep()
  epoch = ARGV[2] == "stay" and stay() or leave()
end

local reply = { epoch, string.format("%.0f", now - numberAt("since")) }
local all = redis.call("HGETALL", KEYS[1])
for at = 1, #all, 2 do
  local kept = memberOf(all[at + 1])
  if kept and kept.endsAt > now then
    reply[#reply + 1] = all[at]
    reply[#reply + 1] = kept.address
    reply[#reply + 1] = kept.draining
  end
end
return reply
