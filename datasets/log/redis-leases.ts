import { RoostError } from "../../errors.ts";
import type { RedisConnection } from "../storage/redis.ts";
import { onlineReplicas } from "../storage/redis-durability.ts";
import { fenced, type Leases } from "./leases.ts";
import { unavailable } from "./redis-appender.ts";
import { partitionKey } from "./redis-event-log.ts";

/** Longer than a consumer's pauses, short enough that a dead one's work goes on before a person asks. */
const TTL_MS = 10_000;
const REPLICA_WAIT_MS = 500;

/*
 * KEYS: lease (the holder, gone when the grant ends), fence (newest token and whom it was given to), position.
 * A holder is a token and a name: a fail-over that forgot a token may give its number again, never to the same holder.
 */
const ACQUIRE_SCRIPT = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local newest = tonumber(redis.call('HGET', KEYS[2], 'token') or '0')
local token = math.max(newest, tonumber(ARGV[3])) + 1
redis.call('HSET', KEYS[2], 'token', token, 'owner', ARGV[1])
redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[2])
return token
`;
const RENEW_SCRIPT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;
const RELEASE_SCRIPT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`;
const HOLDER_SCRIPT = `return {redis.call('GET', KEYS[1]) or '', redis.call('PTTL', KEYS[1])}`;
const COMMIT_SCRIPT = `
local newest = redis.call('HMGET', KEYS[2], 'token', 'owner')
if newest[1] ~= ARGV[1] or newest[2] ~= ARGV[2] then return tonumber(newest[1] or '0') end
redis.call('SET', KEYS[3], ARGV[3])
return -1
`;

export interface RedisLeasesOptions {
  /** Tells this owner from every other that there ever was: a UUID of its process. */
  readonly owner: string;
  readonly ttlMs?: number;
}

/**
 * Leases and positions in Redis, beside the partition's log. A grant is copied to a replica, where one is connected,
 * before it is told; a position is not, so a fail-over may give back an older one, from which a consumer repeats itself.
 */
export function redisLeases(
  { client, target }: RedisConnection,
  { owner, ttlMs = TTL_MS }: RedisLeasesOptions,
): Leases {
  const keysOf = (consumer: string, partition: number): [string, string, string] => {
    const key = (name: string): string => partitionKey(target.prefix, partition, name);
    return [key(`lease:${consumer}`), key(`fence:${consumer}`), key(`position:${consumer}`)];
  };
  const run = (script: string, keys: readonly string[], ...args: (string | number)[]) =>
    client.eval(script, keys.length, ...keys, ...args).then(Number, (error) => {
      throw unavailable(keys[0] as string, error);
    });
  const holder = (token: number): string => `${token} ${owner}`;

  const renew: Leases["renew"] = async (consumer, partition, token) =>
    (await run(RENEW_SCRIPT, keysOf(consumer, partition), holder(token), ttlMs)) === 1;
  const release: Leases["release"] = async (consumer, partition, token) => {
    await run(RELEASE_SCRIPT, keysOf(consumer, partition), holder(token));
  };

  /** Writes on the connection that is then asked to wait, which so covers everything written before. */
  const copied = async (consumer: string, partition: number, token: number): Promise<boolean> => {
    const keys = keysOf(consumer, partition);
    const renewal = () => client.pipeline().eval(RENEW_SCRIPT, 3, ...keys, holder(token), ttlMs);
    const [, told] = (await renewal().info("replication").exec()) ?? [];
    if (told?.[0] != null || onlineReplicas(String(told?.[1])) === 0) return true;
    const [, waited] = (await renewal().wait(1, REPLICA_WAIT_MS).exec()) ?? [];
    return waited?.[0] == null && Number(waited?.[1]) >= 1;
  };

  return {
    owner,
    ttlMs,
    async acquire(consumer, partition, above = 0) {
      const token = await run(ACQUIRE_SCRIPT, keysOf(consumer, partition), owner, ttlMs, above);
      if (token === 0) return undefined;
      if (await copied(consumer, partition, token)) return { token };
      await release(consumer, partition, token);
      throw new RoostError("NOT_REPLICATED", `a grant of ${consumer}, partition ${partition}`);
    },
    renew,
    release,
    async holder(consumer, partition) {
      const [key] = keysOf(consumer, partition);
      const [held, endsInMs] = (await client.eval(HOLDER_SCRIPT, 1, key).catch((error) => {
        throw unavailable(key, error);
      })) as [string, number];
      return held === "" ? undefined : { owner: held.slice(held.indexOf(" ") + 1), endsInMs };
    },
    async commitPosition(consumer, partition, seq, token) {
      const keys = keysOf(consumer, partition);
      const newest = await run(COMMIT_SCRIPT, keys, token, owner, seq);
      if (newest !== -1) throw fenced(consumer, partition, token, newest);
    },
    async position(consumer, partition) {
      const [, , key] = keysOf(consumer, partition);
      return Number(
        await client.get(key).catch((error) => {
          throw unavailable(key, error);
        }),
      );
    },
  };
}
