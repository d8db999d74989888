-- Reads an account, or writes it if nobody has since it was read.
--
-- KEYS  account, receipts, movements, due
-- ARGV  1        the stamp it had when it was read; empty where there was no such account
--       2        how many transaction ids follow, then these
--       then     its new stamp, its state, when it is due (empty for never), its member in the
--                index of when, its version before, how many movements follow, then these;
--                then ids and receipts by turns
--
-- Answers {stamp, state, receipts of those ids} where somebody else has written, else {}.

local kept = redis.call('HMGET', KEYS[1], 'stamp', 'state')
local found = kept[1] or ''
local asked = tonumber(ARGV[2])
if found ~= ARGV[1] then
  local receipts = {}
  for i = 1, asked do
    receipts[i] = redis.call('HGET', KEYS[2], ARGV[2 + i])
  end
  return {found, kept[2], receipts}
end

local at = 2 + asked
local stamp, state, due, member = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
local version, moved = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
at = at + 6
-- A script is not undone where it fails half-way: what can be wrong is found before the first write.
if redis.call('LLEN', KEYS[3]) ~= version then
  return redis.error_reply('LEDGER the list of movements does not match the account')
end
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[4])

for i = at + 1, at + moved do
  redis.call('RPUSH', KEYS[3], ARGV[i])
end
for i = at + moved + 1, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
if due == '' then
  redis.call('ZREM', KEYS[4], member)
else
  redis.call('ZADD', KEYS[4], due, member)
end
redis.call('HSET', KEYS[1], 'stamp', stamp, 'state', state)
return {}
