-- What the client turns into a fault that names the key.
local function damaged(key, what)
  return redis.error_reply("DAMAGED " .. key .. ": " .. what)
end
