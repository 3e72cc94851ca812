-- Whole numbers of 64 bits and a little more, which a double cannot hold: {high, low} = high * 10^9 + low, both parts
-- with the number's sign, so that comparing part by part compares the numbers.
local PART = 1000000000

local function wholeOf(text)
  local sign, digits = string.match(text, "^(-?)(%d+)$")
  if not digits or #digits > 19 then return nil end
  local high, low = tonumber(string.sub(digits, 1, -10)) or 0, tonumber(string.sub(digits, -9))
  if sign == "-" then return { -high, -low } end
  return { high, low }
end

local function sum(one, other)
  local high, low = one[1] + other[1], one[2] + other[2]
  if low >= PART then
    high, low = high + 1, low - PART
  elseif low <= -PART then
    high, low = high - 1, low + PART
  end
  if high > 0 and low < 0 then
    high, low = high - 1, low + PART
  elseif high < 0 and low > 0 then
    high, low = high + 1, low - PART
  end
  return { high, low }
end

local function negative(number)
  return { -number[1], -number[2] }
end

local function atMost(one, other)
  return one[1] < other[1] or (one[1] == other[1] and one[2] <= other[2])
end

local function fits64(number)
  return atMost({ -9223372036, -854775808 }, number) and atMost(number, { 9223372036, 854775807 })
end

local function textOf(number)
  local sign = (number[1] < 0 or number[2] < 0) and "-" or ""
  if number[1] == 0 then return string.format("%s%.0f", sign, math.abs(number[2])) end
  return string.format("%s%.0f%09.0f", sign, math.abs(number[1]), math.abs(number[2]))
end
