-- What putting and removing a record share; keys as in records-put.lua.

-- The version of the record, "" when there is none; nil when what lies there is no record.
local function presentVersion(record)
  local kept = redis.call("HGET", KEYS[1], record)
  if not kept then return "" end
  return (string.match(kept, "^(%d+) "))
end

-- The next version of all records, which those who watch are told of. What is read first fails, when it is of the wrong
-- type, before anything is written.
local function nextVersion(kind, record, changesKept)
  redis.call("ZCARD", KEYS[2])
  redis.call("XLEN", KEYS[4])
  local version = string.format("%.0f", redis.call("INCR", KEYS[3]))
  redis.call("XADD", KEYS[4], "MAXLEN", "~", changesKept, version .. "-0", kind, record)
  return version
end
