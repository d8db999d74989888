-- Counts a request of a user by all windows, or by none.
--
-- KEYS  what is known of the user: when that was written, in seconds and microseconds; and a line
--       for each window: its length, how far ahead of that moment it was, and the interval
-- ARGV  for each window its length, its interval, how far the request moves it, and its reach
--
-- Answers {1 if the request is let through, else 0; then for each window how far it is ahead now}.
--
-- All but the moment are nanoseconds, and exact up to 2^53 of them, 104 days: a number is a double
-- here. Those since 1970 are more, so the moment is two numbers, and the rest is relative to it.

local SECOND = 1000000000

-- amount * by / per, rounded up. The product may be too much for a double, so it is not made: what
-- `per` does not go into is multiplied bit by bit, and divided meanwhile.
local function scaled(amount, by, per)
  local rest = math.fmod(amount, per)
  local bit, result, remainder = 1, 0, 0
  while bit * 2 <= by do
    bit = bit * 2
  end
  local left = by
  while bit >= 1 do
    result, remainder = result * 2, remainder * 2
    if left >= bit then
      left, remainder = left - bit, remainder + rest
    end
    while remainder >= per do
      result, remainder = result + 1, remainder - per
    end
    bit = bit / 2
  end
  return (amount - rest) / per * by + result + (remainder > 0 and 1 or 0)
end

local function digits(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local seconds, micros = tonumber(time[1]), tonumber(time[2])
local text = redis.call('GET', KEYS[1]) or ''
local kept, moved = {}, false

local since_seconds, since_micros = string.match(text, '^(%d+) (%d+)')
if since_seconds then
  local passed = (seconds - since_seconds) * SECOND + (micros - since_micros) * 1000
  if passed < 0 then -- the clock has been set back: time goes on from here
    passed, moved = 0, true
  end
  for length, ahead, interval in string.gmatch(text, '\n(%d+) (%d+) ([1-9]%d*)') do
    if ahead - passed > 0 then
      kept[length] = {ahead - passed, interval}
    end
  end
end

local taken, answer = 1, {1}
for at = 1, #ARGV, 4 do
  local length, interval = ARGV[at], ARGV[at + 1]
  local used = kept[length] or {0, interval}
  if used[2] ~= interval then -- that of another tier
    used = {scaled(used[1], tonumber(interval), tonumber(used[2])), interval}
    kept[length], moved = used, true
  end
  if used[1] + ARGV[at + 2] > tonumber(ARGV[at + 3]) then
    taken = 0
  end
  answer[#answer + 1] = used[1]
end

if taken == 1 then
  for at = 1, #ARGV, 4 do
    local place = (at + 7) / 4
    answer[place] = answer[place] + ARGV[at + 2]
    kept[ARGV[at]] = {answer[place], ARGV[at + 1]}
    moved = true
  end
end

if moved and next(kept) then
  local lines, longest = {digits(seconds) .. ' ' .. digits(micros)}, 0
  for length, used in pairs(kept) do
    lines[#lines + 1] = length .. ' ' .. digits(used[1]) .. ' ' .. used[2]
    longest = math.max(longest, used[1])
  end
  local expires = seconds * 1000 + math.ceil(micros / 1000 + longest / 1000000)
  redis.call('SET', KEYS[1], table.concat(lines, '\n'), 'PXAT', digits(expires))
end

answer[1] = taken
for place = 2, #answer do
  answer[place] = digits(answer[place])
end
return answer
