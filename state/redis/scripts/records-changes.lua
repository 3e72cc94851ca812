--[[
  What changed after a revision, as far as it is still so: a record that changed again since is told at its last change.

  KEYS[1] values, KEYS[2] revision, KEYS[3] changes: as in records-put.lua

  ARGV[1] the revision up to which everything is known
  ARGV[2] how many changes to look at

  Returns {"gap"} when changes are no longer there, else {the revision that is known then, version, key, value or nil, …},
  where the value is "<version> <json>", or "" for a removal.
]]
local after = tonumber(ARGV[1])
local revision = tonumber(redis.call("GET", KEYS[2]) or "0")
if revision < after then return { "gap" } end -- Somebody emptied the store, or put an older one in its place.
local entries = redis.call("XRANGE", KEYS[3], "(" .. ARGV[1] .. "-0", "+", "COUNT", ARGV[2])
if #entries == 0 then
  if revision > after then return { "gap" } end
  return { ARGV[1] }
end
-- Every version is one entry, so that the first one tells whether some before it were trimmed.
if tonumber(string.match(entries[1][1], "^(%d+)")) ~= after + 1 then return { "gap" } end

local reply = { string.match(entries[#entries][1], "^(%d+)") }
local last = {}
for _, entry in ipairs(entries) do
  last[entry[2][2]] = entry[1]
end
for _, entry in ipairs(entries) do
  local id, kind, key = entry[1], entry[2][1], entry[2][2]
  local version = string.match(id, "^(%d+)")
  local value = redis.call("HGET", KEYS[1], key)
  -- A value that is not of this version was changed by a later entry, perhaps on the next page: that one tells it.
  local current = kind == "put" and value and string.match(value, "^(%d+) ") == version
  local gone = kind == "removed" and not value
  if last[key] == id and (current or gone) then
    reply[#reply + 1] = version
    reply[#reply + 1] = key
    reply[#reply + 1] = gone and "" or value
  end
end
return reply
