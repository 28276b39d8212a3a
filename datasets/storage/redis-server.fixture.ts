import { spawnSync } from "node:child_process";
import { connectRedis, parseRedisUrl, type RedisConnection } from "./redis.ts";

export {
  type RedisCluster,
  type RedisServer,
  type RedisServerOptions,
  redisCli,
  startRedis,
  startRedisCluster,
} from "./own-redis.ts";

/** Why tests cannot start a Redis here; undefined where they can. */
export const REDIS_MISSING: string | undefined =
  spawnSync("redis-server", ["--version"]).status === 0
    ? undefined
    : "there is no redis-server and it could not be installed";

/** A connection of a test, with keys of its own. */
export const connectTest = (url: string, prefix = "t:"): Promise<RedisConnection> =>
  connectRedis(parseRedisUrl(`${url}?prefix=${prefix}`));
