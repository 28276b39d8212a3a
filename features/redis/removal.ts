import type { Cluster, Redis } from "ioredis";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { unlinkKeys } from "../../datasets/storage/redis-unlink.ts";
import { FeatureKeys } from "./feature-keys.ts";

/**
 * Removes the state of every layout but the registry's, which nothing reads once no process of another build runs.
 * @returns keys removed
 * @throws REDIS_UNAVAILABLE
 */
export async function removeOtherLayouts({ client, target }: RedisConnection): Promise<number> {
  const keys = new FeatureKeys(target.prefix);
  const every = await scanKeys(client, keys.every);
  return unlinkKeys(
    client,
    [...every].filter((key) => !key.startsWith(keys.layout)),
  );
}

/** Removes every vector of a layout; the record of its position stays. @throws REDIS_UNAVAILABLE */
export async function removeLayout(client: Redis | Cluster, keys: FeatureKeys): Promise<number> {
  const every = await scanKeys(client, keys.layout);
  every.delete(keys.redo);
  return unlinkKeys(client, every);
}
