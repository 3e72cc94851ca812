--[[
  Writes a record if its version is the one named, and gives it the next version of all records.

  KEYS[1] values: hash, record key -> "<version> <json>"
  KEYS[2] order: sorted set of the record keys, all with score 0
  KEYS[3] revision: the last version that was given
  KEYS[4] changes: stream, id <version>-0, field "put" or "removed" -> record key

  ARGV[1] record key
  ARGV[2] version that it must have; "" when there must be no such record
  ARGV[3] json
  ARGV[4] how many changes are kept

  Returns {1, version} when written, else {0, version that it has or ""}.
]]
--- @include "damaged"
--- @include "record-change"
local present = presentVersion(ARGV[1])
if not present then return damaged(KEYS[1], "no version in the record " .. ARGV[1]) end
if present ~= ARGV[2] then return { 0, present } end
local version = nextVersion("put", ARGV[1], ARGV[4])
redis.call("HSET", KEYS[1], ARGV[1], version .. " " .. ARGV[3])
redis.call("ZADD", KEYS[2], 0, ARGV[1])
return { 1, version }
