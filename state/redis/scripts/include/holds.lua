--- @include "whole"
-- The holds of an account: a hash of amounts by id, a sorted set of ids by their ends, and the sum of all amounts.
local function heldSum(heldKey)
  return wholeOf(redis.call("GET", heldKey) or "0")
end

local function setHeld(heldKey, held)
  if textOf(held) == "0" then
    redis.call("DEL", heldKey)
  else
    redis.call("SET", heldKey, textOf(held))
  end
end

-- Takes the holds of these ids out of the sum, those that are there; gives the new sum.
local function dropHolds(holdsKey, holdEndsKey, heldKey, ids)
  local held, found = heldSum(heldKey), false
  for _, id in ipairs(ids) do
    local amount = redis.call("HGET", holdsKey, id)
    if amount then
      held, found = sum(held, negative(wholeOf(amount) or { 0, 0 })), true
      redis.call("HDEL", holdsKey, id)
      redis.call("ZREM", holdEndsKey, id)
    end
  end
  if found then setHeld(heldKey, held) end
  return held
end
