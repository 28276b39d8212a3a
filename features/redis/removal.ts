import type { Cluster, Redis } from "ioredis";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RedisGroups } from "../../datasets/storage/redis-groups.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { RoostError } from "../../errors.ts";
import { FeatureKeys } from "./feature-keys.ts";

/**
 * Removes the state of every layout but the registry's, which nothing reads once no process of another build runs.
 * @returns keys removed
 * @throws REDIS_UNAVAILABLE
 */
export async function removeOtherLayouts({ client, target }: RedisConnection): Promise<number> {
  const keys = new FeatureKeys(target.prefix);
  const every = await scanKeys(client, keys.every);
  return unlink(
    client,
    [...every].filter((key) => !key.startsWith(keys.layout)),
  );
}

/** Removes every vector of a layout; the record of its position stays. @throws REDIS_UNAVAILABLE */
export async function removeLayout(client: Redis | Cluster, keys: FeatureKeys): Promise<number> {
  const every = await scanKeys(client, keys.layout);
  every.delete(keys.redo);
  return unlink(client, [...every]);
}

async function unlink(client: Redis | Cluster, keys: readonly string[]): Promise<number> {
  const answers = await new RedisGroups(client).run(
    keys.map((key) => ({ key, call: "unlink", args: [] })),
  );
  const failed = answers.find((answer) => answer instanceof Error) as Error | undefined;
  if (failed !== undefined) throw new RoostError("REDIS_UNAVAILABLE", failed.message, failed);
  return keys.length;
}
