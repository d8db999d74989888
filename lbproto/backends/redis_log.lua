-- Takes what a node publishes to a shard: numbers it, appends it to the log and passes it on.
--
-- KEYS  the head: a hash of what is known of the log
--           epoch   when it began, in milliseconds since 1970; or later, so that it is greater than
--                   any before
--           number  how many messages it has had
--           gone    how many of these it has dropped
--           bytes   of those that it has
--           oldest  when the oldest of these came, or earlier; as the epoch
--       the log: a stream, where the ids are the number of the last message, and when it came
--       how many messages of the node have come
-- ARGV  the command that publishes, and what the names of channels begin with
--       an epoch and a number that the node knows: a head that is behind them has lost some, and
--       another log begins, so that no number is used twice
--       how many messages of the node have come to this log, or others before it, as it knows
--       how many will have come with these, or 0: where they have come before, since the node had
--       no answer, they are passed over
--       how many messages the log may have, of how many bytes, and for how long, in milliseconds
--       for how long it is known how many of the node have come, in seconds
--       and for each parcel its name, how many messages it counts for, and the parcel; one of 0 is
--       passed on only
--
-- Answers the epoch and the number.

local HEAD, LOG, FROM = KEYS[1], KEYS[2], KEYS[3]
local PUBLISH, PREFIX = ARGV[1], ARGV[2]
local KNOWN_EPOCH, KNOWN_NUMBER = tonumber(ARGV[3]), tonumber(ARGV[4])
local TAKEN, OWN = tonumber(ARGV[5]), tonumber(ARGV[6])
local MAX_KEPT, MAX_BYTES, WINDOW = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local FROM_SECONDS, PARCELS = ARGV[10], 11
local MOST_DROPPED = 1000 -- at once, or others would wait
local MOST_IDLE = 600000 -- milliseconds: nodes send to themselves more often

local function digits(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local head = redis.call('HMGET', HEAD, 'epoch', 'number', 'gone', 'bytes', 'oldest')
for at = 1, 5 do
  head[at] = tonumber(head[at] or 0)
end
local epoch, number, gone, bytes, oldest = unpack(head)
local from = tonumber(redis.call('GET', FROM) or 0)
if epoch == 0 or epoch < KNOWN_EPOCH or (epoch == KNOWN_EPOCH and number < KNOWN_NUMBER) then
  epoch, number, gone, bytes, oldest = math.max(now, epoch + 1, KNOWN_EPOCH + 1), 0, 0, 0, now
  from = 0
  redis.call('DEL', LOG)
end

local again = OWN > 0 and OWN <= from
for at = PARCELS, #ARGV, 3 do
  local name, count, data = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  if not again then
    number = number + count
    if count > 0 then
      local id = digits(number) .. '-' .. digits(now)
      redis.call('XADD', LOG, id, 'name', name, 'count', count, 'data', data)
      bytes = bytes + #name + #data
    end
    redis.call(PUBLISH, PREFIX .. name, digits(epoch) .. ' ' .. digits(number) .. ' ' .. data)
  end
end

local dropped = 0
while dropped < MOST_DROPPED and gone < number
    and (number - gone > MAX_KEPT or bytes > MAX_BYTES or now - oldest > WINDOW) do
  local first = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
  if not first then -- it was evicted
    gone, bytes = number, 0
    break
  end
  local last, came = string.match(first[1], '^(%d+)-(%d+)$')
  oldest = tonumber(came)
  if number - gone <= MAX_KEPT and bytes <= MAX_BYTES and now - oldest <= WINDOW then
    break
  end
  redis.call('XDEL', LOG, first[1])
  gone, bytes, dropped = tonumber(last), bytes - #first[2][2] - #first[2][6], dropped + 1
end

redis.call('HSET', HEAD, 'epoch', digits(epoch), 'number', digits(number), 'gone', digits(gone),
  'bytes', digits(bytes), 'oldest', digits(oldest))
if OWN == 0 then -- as every node does again and again
  redis.call('PEXPIRE', LOG, digits(MOST_IDLE + 2 * WINDOW))
end
redis.call('SET', FROM, digits(math.max(from, TAKEN, OWN)), 'EX', FROM_SECONDS)
return {epoch, number}
