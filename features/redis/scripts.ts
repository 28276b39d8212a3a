import { RedisScript } from "../../datasets/storage/redis-script.ts";

/*
 * What the scripts read of a header of `packed-value.ts`: the token and the position, after version and form. All answers:
 * −1 = refused, a newer owner has been here; 0 = this batch or a later one is there already; 1 = written.
 */
const HEADS = `
local old = redis.call('GETRANGE', KEYS[1], 0, 17)
local token, position = struct.unpack('<I4I6', ARGV[1], 3)
local oldToken, oldPosition = -1, -1
if #old == 18 then oldToken, oldPosition = struct.unpack('<I4I6', old, 3) end
if oldToken > token then return -1 end
`;

/**
 * KEYS: a vector's key. ARGV: its packed value; for how many ms it is kept, 0 = for good. What an older owner wrote is
 * overwritten whatever its position: the batch that it left is the one that is being finished.
 */
export const SET_VALUE = new RedisScript(`${HEADS}
if oldToken == token and oldPosition >= position then return 0 end
if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1`);

/**
 * KEYS: the redo record's key. ARGV: the record. The same one may be written again; behind a removal (form 17) the count of
 * positions begins anew.
 */
export const SET_REDO = new RedisScript(`${HEADS}
if oldPosition > position and string.byte(old, 2) ~= 17 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`);

/**
 * KEYS: the redo record's key. ARGV: an empty record with the claiming owner's token. Puts the token into the record that is
 * there, or else the empty one, and gives what is there then; −1 = refused. From then on every older owner is.
 */
export const CLAIM = new RedisScript(`${HEADS}
if oldToken == -1 then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SETRANGE', KEYS[1], 2, string.sub(ARGV[1], 3, 6)) end
return redis.call('GET', KEYS[1])`);
