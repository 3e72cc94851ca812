--[[
  Records in order of their keys, a page at a time: a script that read them all would hold up everybody else.

  KEYS[1] values, KEYS[2] order, KEYS[3] revision: as in records-put.lua

  ARGV[1] where the page begins, as ZRANGE's BYLEX wants it: "-", "[<key>" or "(<key>"
  ARGV[2] where it ends: "+" or "(<key>"
  ARGV[3] how many at most

  Returns {revision, key, "<version> <json>", key, …}.
]]
local keys = redis.call("ZRANGE", KEYS[2], ARGV[1], ARGV[2], "BYLEX", "LIMIT", 0, ARGV[3])
local page = { redis.call("GET", KEYS[3]) or "0" }
for _, key in ipairs(keys) do
  page[#page + 1] = key
  page[#page + 1] = redis.call("HGET", KEYS[1], key)
end
return page
