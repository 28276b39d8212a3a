import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import { unlinkKeys } from "../../datasets/storage/redis-unlink.ts";
import { positionKeys, timelineKeys } from "./redis-timelines.ts";

/**
 * Removes every stored timeline and then what fan-out knows of its progress, in this order: without timelines nothing is
 * left to be taken out of one. Each is made anew from posts when its reader comes. No process may be delivering.
 * @returns keys removed
 * @throws REDIS_UNAVAILABLE
 */
export async function removeTimelines({ client, target }: RedisConnection): Promise<number> {
  const timelines = await scanKeys(client, timelineKeys(target.prefix));
  const positions = await scanKeys(client, positionKeys(target.prefix));
  return (await unlinkKeys(client, timelines)) + (await unlinkKeys(client, positions));
}
