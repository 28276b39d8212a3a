import type { Cluster, Redis } from "ioredis";
import { RoostError } from "../../errors.ts";
import { RedisGroups } from "./redis-groups.ts";

/**
 * Removes keys, wherever in a cluster they are; repeated, it removes what is left.
 * @returns how many of them there were
 * @throws REDIS_UNAVAILABLE when not all could be removed
 */
export async function unlinkKeys(client: Redis | Cluster, keys: Iterable<string>): Promise<number> {
  const answers = await new RedisGroups(client).run(
    Array.from(keys, (key) => ({ key, call: "unlink", args: [] })),
  );
  const failed = answers.find((answer) => answer instanceof Error) as Error | undefined;
  if (failed !== undefined) throw new RoostError("REDIS_UNAVAILABLE", failed.message, failed);
  return (answers as number[]).reduce((sum, removed) => sum + removed, 0);
}
