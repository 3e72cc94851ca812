--- @include "holds"
-- Ends what is over: takes that were never settled, holds that were never released.
local function endWhatIsOver(now)
  local over = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", now)
  for _, id in ipairs(over) do
    redis.call("HDEL", KEYS[2], id)
    redis.call("ZREM", KEYS[3], id)
  end
  return dropHolds(KEYS[4], KEYS[5], KEYS[6], redis.call("ZRANGEBYSCORE", KEYS[5], "-inf", now))
end
