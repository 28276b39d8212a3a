import { setTimeout as delay } from "node:timers/promises";
import { Cluster, type Redis } from "ioredis";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { ENTITIES, type Entity } from "../entities.ts";
import type { EntityUsage, FeatureUsage } from "../usage.ts";
import { FeatureKeys } from "./feature-keys.ts";

/** Keys that a server looks at in one step, and the pause after it: a million keys take a minute and a hundredth of it. */
const STEP = 1_000;
const PAUSE_MS = 50;
/** Values whose size is asked for: the first of each entity, and of the others one in so many. */
const FIRST_SIZED = 100;
const SIZED_OF = 50;

export interface UsageOptions {
  readonly pauseMs?: number;
  /** Ends the count, which then throws. */
  readonly signal?: AbortSignal;
}

/**
 * Counts a layout's vectors by entity and estimates what they take in memory, keys included, from a sample: the order of a
 * scan is that of hashes. The headers of deleted vectors, which stay for an hour, count too; what moves between nodes or is
 * written meanwhile may count twice or not at all.
 */
export async function measureUsage(
  { client, target }: RedisConnection,
  { pauseMs = PAUSE_MS, signal }: UsageOptions = {},
): Promise<FeatureUsage> {
  const keys = new FeatureKeys(target.prefix);
  const counts = new Map(ENTITIES.map((entity) => [entity, { keys: 0, sized: 0, bytes: 0 }]));
  for (const node of client instanceof Cluster ? client.nodes("master") : [client]) {
    let cursor = "0";
    do {
      const [next, found] = await node.scan(cursor, "MATCH", `${keys.layout}*`, "COUNT", STEP);
      await addSizes(node, found, keys, counts);
      cursor = next;
      await delay(pauseMs, undefined, { ref: false, ...(signal && { signal }) });
    } while (cursor !== "0");
  }
  const usage: Partial<Record<Entity, EntityUsage>> = {};
  for (const [entity, { keys, sized, bytes }] of counts)
    usage[entity] = { entities: keys, bytes: sized === 0 ? 0 : Math.round((keys * bytes) / sized) };
  return usage as FeatureUsage;
}

async function addSizes(
  node: Redis,
  found: readonly string[],
  keys: FeatureKeys,
  counts: ReadonlyMap<Entity, { keys: number; sized: number; bytes: number }>,
): Promise<void> {
  const pipeline = node.pipeline();
  const asked: { sized: number; bytes: number }[] = [];
  for (const key of found) {
    const count = counts.get(keys.entityOf(key));
    // The layout's own record.
    if (count === undefined) continue;
    count.keys++;
    if (count.keys > FIRST_SIZED && count.keys % SIZED_OF !== 0) continue;
    pipeline.memory("USAGE", key, "SAMPLES", 0);
    asked.push(count);
  }
  if (asked.length === 0) return;
  const replies = (await pipeline.exec()) ?? [];
  for (const [i, count] of asked.entries()) {
    const [error, bytes] = replies[i] ?? [];
    // Null when it was removed meanwhile.
    if (error != null || typeof bytes !== "number") continue;
    count.sized++;
    count.bytes += bytes;
  }
}
