-- The arithmetic of `state/bucket.ts`, operation by operation, so that every store gives the same answers. A level is kept
-- as "<tokens> <at>", with all 17 digits.
local function levelText(level)
  return string.format("%.17g %.17g", level.tokens, level.at)
end

-- The level of a meter at `now`; nil when what is kept is no level. A bucket that nobody knows is full.
local function levelNow(kept, limit, windowMs, now)
  if not kept then return { tokens = limit, at = now } end
  local tokens, at = string.match(kept, "^(%S+) (%S+)$")
  tokens, at = tonumber(tokens), tonumber(at)
  if not tokens or not at then return nil end
  return { tokens = math.min(limit, tokens + math.max(0, now - at) * limit / windowMs), at = now }
end

local function drawn(level, limit, amount)
  return { tokens = math.min(limit, level.tokens - amount), at = level.at }
end

-- The wait, or "" when there is no use in waiting.
local function roomInMs(level, limit, windowMs, amount)
  if amount > limit or limit == 0 then return "" end
  return string.format("%.0f", math.ceil((amount - level.tokens) * windowMs / limit))
end

local function fullInMs(level, limit, windowMs)
  if limit == 0 then return 0 end
  return math.ceil((limit - level.tokens) * windowMs / limit)
end

-- What is told of a meter: its name, what is left in whole tokens, and the time until it is full. (+ 0 makes of -0 a 0.)
local function tell(answer, meter, level, limit, windowMs)
  answer[#answer + 1] = meter
  answer[#answer + 1] = string.format("%.0f", math.floor(level.tokens) + 0)
  answer[#answer + 1] = string.format("%.0f", fullInMs(level, limit, windowMs) + 0)
end

-- Buckets are forgotten together, once they are long full: only by the server's own time, never by a test's.
local FORGOTTEN_MS_MAX = 315360000000

local function forgetLater(bucketsKey, ms)
  ms = math.min(ms, FORGOTTEN_MS_MAX)
  if redis.call("PTTL", bucketsKey) < ms then redis.call("PEXPIRE", bucketsKey, string.format("%.0f", ms)) end
end
