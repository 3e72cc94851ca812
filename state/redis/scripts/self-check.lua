--[[
  Writes and reads, and so shows whether scripts may do both.

  KEYS[1] check: string, gone after a minute

  ARGV[1] what to write

  Returns what was read.
]]
redis.call("SET", KEYS[1], ARGV[1], "PX", 60000)
return redis.call("GET", KEYS[1])
