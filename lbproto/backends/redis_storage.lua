-- Writes a record, and keeps the index of its folder; or looks into the index.
--
-- KEYS  the index of a folder: names of records by when they expire, in ms since the Unix epoch; and
--       the record. One that is in no folder has no index: it is alone.
-- ARGV  what to do: list; put, new, delete or increment; then
--         list: how many
--         else: the record's name in the folder; a value, or what to add; a time to live in ms, if
--         there is one
--
-- Answers the names (list), or 1 where it was done and 0 where not, or the sum (increment).

local what = ARGV[1]
local record, index = KEYS[#KEYS], KEYS[1]
if what ~= 'list' and #KEYS == 1 then
  index = nil
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function digits(number)
  return string.format('%.0f', number)
end

if index then
  redis.call('ZREMRANGEBYSCORE', index, '-inf', digits(now))
end

if what == 'list' then
  return redis.call('ZRANGE', index, 0, ARGV[2] - 1)
end

local name, value, ttl = ARGV[2], ARGV[3], ARGV[4]
local answer = 1

if what == 'delete' then
  answer = redis.call('DEL', record)
elseif what == 'increment' then
  answer = redis.call('INCRBY', record, value)
else
  local options = {}
  if what == 'new' then
    options[1] = 'NX'
  end
  if ttl then
    options[#options + 1] = 'PX'
    options[#options + 1] = ttl
  end
  answer = redis.call('SET', record, value, unpack(options)) and 1 or 0
end

if index then
  local left = redis.call('PTTL', record)
  if left == -2 then
    redis.call('ZREM', index, name)
  else
    redis.call('ZADD', index, left == -1 and '+inf' or digits(now + left), name)
  end
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last == 'inf' then
    redis.call('PERSIST', index)
  elseif last then
    redis.call('PEXPIREAT', index, digits(tonumber(last)))
  end
end

return answer
