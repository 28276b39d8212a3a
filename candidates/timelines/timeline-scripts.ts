import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisScript } from "../../datasets/storage/redis-script.ts";
import { MOST_ENTRIES, SERVED_ENTRIES } from "./timeline-store.ts";

/*
 * A timeline is one sorted set. Two members that are no post ids stand below all posts, whose scores are times and not negative:
 * `b` with −(built at + 1) and `f` with −(floor + 2). A set without `b` is no timeline.
 */

/** Cuts what has grown too long and returns how many entries are left. Lets a heap of pushes that nobody reads expire. */
const CUT = `
local built = redis.call('ZSCORE', KEYS[1], 'b')
local marks = built and 2 or 0
local n = redis.call('ZCARD', KEYS[1]) - marks
if n > ${MOST_ENTRIES} then
  local at = marks + n - ${SERVED_ENTRIES} - 1
  local gone = redis.call('ZRANGE', KEYS[1], at, at, 'WITHSCORES')
  redis.call('ZREMRANGEBYRANK', KEYS[1], marks, at)
  if built then redis.call('ZADD', KEYS[1], 'LT', string.format('%.0f', -tonumber(gone[2]) - 2), 'f') end
  n = ${SERVED_ENTRIES}
end
if not built and redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n`;

/** ARGV: time to live, score of b, score of f, score and member of each entry. Returns as `CUT`. */
export const REBUILD_TIMELINE = new RedisScript(`
redis.call('ZADD', KEYS[1], ARGV[2], 'b', ARGV[3], 'f')
for i = 4, #ARGV, 1000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
${CUT}`);

/** ARGV: time to live. */
export const CUT_TIMELINE = new RedisScript(CUT);

/** ARGV: time to live, highest score, entries to pass over, limit. Returns b, f, the score of the first entry not served, entries. */
const READ = `
local built = redis.call('ZSCORE', KEYS[1], 'b')
if not built then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local past = redis.call('ZREVRANGE', KEYS[1], ${SERVED_ENTRIES}, ${SERVED_ENTRIES}, 'WITHSCORES')
return {built, redis.call('ZSCORE', KEYS[1], 'f') or '-1', past[2] or '-1',
  redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[2], 0, 'WITHSCORES', 'LIMIT', ARGV[3], ARGV[4])}`;

/** Reading writes only how long a timeline is kept: no replica is waited for. */
export interface TimelineReads {
  roostTimelineRead(
    key: string,
    ttlMs: number,
    highest: string | number,
    skipped: number,
    limit: number,
  ): Promise<[built: string, floor: string, past: string, entries: string[]] | null>;
}

/** The connection's client with reading as a command. */
export function withTimelineReads({ client }: RedisConnection): TimelineReads {
  client.defineCommand("roostTimelineRead", { numberOfKeys: 1, lua: READ });
  return client as unknown as TimelineReads;
}
