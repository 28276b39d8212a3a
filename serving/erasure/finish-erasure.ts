import { existsSync, readFileSync, rmSync } from "node:fs";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { onEveryReplica, rewriteOnDisk } from "../../datasets/storage/redis-disk.ts";
import { unlinkKeys } from "../../datasets/storage/redis-unlink.ts";
import { UNFINISHED, type Unfinished } from "./unfinished.ts";

/**
 * Finishes an erasure that ended between its files and Redis: by whoever has the space next, before anything is appended.
 * Harmless when there is none.
 * @throws REDIS_UNAVAILABLE
 */
export async function finishErasure(dir: DataDir, connection: RedisConnection): Promise<void> {
  const file = dir.at(UNFINISHED);
  if (!existsSync(file)) return;
  const { redis_keys } = JSON.parse(readFileSync(file, "utf8")) as Unfinished;
  await unlinkKeys(connection.client, redis_keys);
  await onEveryReplica(connection);
  // Ids are the senders' text and may name users.
  if (redis_keys.length > 0) await rewriteOnDisk(connection);
  rmSync(file);
}
