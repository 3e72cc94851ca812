--[[
  The counters of several groups at one moment.

  KEYS counters: one hash for each group

  Returns one list for each group: {name, amount, name, amount, …}.
]]
local groups = {}
for index, key in ipairs(KEYS) do
  groups[index] = redis.call("HGETALL", key)
end
return groups
