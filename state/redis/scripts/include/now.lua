-- Milliseconds since the Unix epoch: the server's own, or what a test gave instead of it.
local function millisNow(given)
  if given ~= "" then return tonumber(given) end
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
