import keySlot from "cluster-key-slot";
import type { Cluster, Redis } from "ioredis";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { ENTITIES, type Entity } from "../../features/entities.ts";
import type { MemoryState } from "../../features/memory-store.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { SLOTS } from "../../features/registry.ts";
import { type Figure, figure } from "./bench-report.ts";

/** Vectors of an entity that are asked for what they take. */
const SAMPLED = 500;

/** Keys by the node that serves them: found before the clock runs. */
export function grouped(cluster: Cluster, names: readonly string[]): [Redis, string[]][] {
  const nodes = new Map(
    cluster.nodes("master").map((node) => [`${node.options.host}:${node.options.port}`, node]),
  );
  const groups = new Map<Redis, string[]>();
  for (const name of names) {
    const node = nodes.get(cluster.slots[keySlot(name)]?.[0] as string) as Redis;
    const group = groups.get(node);
    if (group === undefined) groups.set(node, [name]);
    else group.push(name);
  }
  return [...groups];
}

/** Bare GETs of these keys, one pipeline a node, all at once. */
export async function pipelined(
  groups: readonly (readonly [Redis, readonly string[]])[],
): Promise<undefined> {
  await Promise.all(
    groups.map(([node, names]) => {
      const pipeline = node.pipeline();
      for (const name of names) pipeline.getBuffer(name);
      return pipeline.exec();
    }),
  );
}

/** Bytes that Redis uses for a vector of each entity, key and header included, and what its numbers alone would take. */
export async function memory(
  { client, target }: RedisConnection,
  state: MemoryState,
): Promise<Figure[]> {
  const names = new FeatureKeys(target.prefix);
  const keys = new Map<Entity, string[]>(ENTITIES.map((entity) => [entity, []]));
  for (const [entity, key] of state.entries()) keys.get(entity)?.push(names.of(entity, key));
  const figures: Figure[] = [];
  for (const [entity, all] of keys) {
    if (all.length === 0) continue;
    const step = Math.max(1, Math.floor(all.length / SAMPLED));
    let bytes = 0;
    let n = 0;
    for (let i = 0; i < all.length; i += step, n++)
      bytes += Number(await client.call("MEMORY", "USAGE", all[i] as string));
    figures.push(figure(`bytes_per_${entity}`, bytes / n, `B (${8 * SLOTS[entity]} B of numbers)`));
  }
  return figures;
}
