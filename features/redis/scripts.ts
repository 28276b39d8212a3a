import { RedisScript } from "../../datasets/storage/redis-script.ts";

/*
 * What the scripts read of a header of `packed-value.ts`: the token and the position, after version and form. Answers:
 * −1 = refused, a newer owner has been here; 0 = this batch or a later one is there already; 1 = written.
 */
const HEADS = `
local function heads(key, value)
  local old = redis.call('GETRANGE', key, 0, 17)
  local token, position = struct.unpack('<I4I6', value, 3)
  if #old < 18 then return token, position, -1, -1, old end
  local oldToken, oldPosition = struct.unpack('<I4I6', old, 3)
  return token, position, oldToken, oldPosition, old
end
`;

/**
 * KEYS: keys of vectors. ARGV: the packed value of each; for how many ms a deleted one's header is kept. Answers for each.
 * What an older owner wrote is overwritten whatever its position: the batch that it left is the one that is being finished.
 */
export const SET_VALUES = new RedisScript(`${HEADS}
local answers = {}
for i = 1, #KEYS do
  local value = ARGV[i]
  local token, position, oldToken, oldPosition = heads(KEYS[i], value)
  if oldToken > token then answers[i] = -1
  elseif oldToken == token and oldPosition >= position then answers[i] = 0
  else
    if #value == 18 then redis.call('SET', KEYS[i], value, 'PX', ARGV[#ARGV])
    else redis.call('SET', KEYS[i], value) end
    answers[i] = 1
  end
end
return answers`);

/**
 * KEYS: the redo record's key. ARGV: the record. The same one may be written again; behind a removal (form 17) the count of
 * positions begins anew.
 */
export const SET_REDO = new RedisScript(`${HEADS}
local token, position, oldToken, oldPosition, old = heads(KEYS[1], ARGV[1])
if oldToken > token then return -1 end
if oldPosition > position and string.byte(old, 2) ~= 17 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`);

/**
 * KEYS: the redo record's key. ARGV: an empty record with the claiming owner's token. Puts the token into the record that is
 * there, or else the empty one, and gives what is there then; −1 = refused. From then on every older owner is.
 */
export const CLAIM = new RedisScript(`${HEADS}
local token, position, oldToken = heads(KEYS[1], ARGV[1])
if oldToken > token then return -1 end
if oldToken == -1 then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SETRANGE', KEYS[1], 2, string.sub(ARGV[1], 3, 6)) end
return redis.call('GET', KEYS[1])`);
