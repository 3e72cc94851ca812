--[[
  Removes a record if its version is the one named. The removal itself has a version.

  KEYS[1] values, KEYS[2] order, KEYS[3] revision, KEYS[4] changes: as in records-put.lua

  ARGV[1] record key
  ARGV[2] version that it must have
  ARGV[3] how many changes are kept

  Returns {1, version of the removal} when removed, else {0, version that it has or ""}.
]]
--- @include "damaged"
--- @include "record-change"
local present = presentVersion(ARGV[1])
if not present then return damaged(KEYS[1], "no version in the record " .. ARGV[1]) end
if present ~= ARGV[2] then return { 0, present } end
local version = nextVersion("removed", ARGV[1], ARGV[3])
redis.call("HDEL", KEYS[1], ARGV[1])
redis.call("ZREM", KEYS[2], ARGV[1])
return { 1, version }
