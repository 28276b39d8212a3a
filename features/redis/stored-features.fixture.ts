import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { ENTITIES } from "../entities.ts";
import type { MemoryState } from "../memory-store.ts";
import { RedisFeatureStore } from "./redis-store.ts";

/** Every vector by entity and key, to the bit. */
export type Contents = ReadonlyMap<string, string>;

const bits = (vector: Float64Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");

const sorted = (map: ReadonlyMap<string, string>): Contents =>
  new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));

/** What Redis has, as a new owner with this token finds it; the position is moved by one. */
export async function contentsOf(connection: RedisConnection, token: number): Promise<Contents> {
  const store = await RedisFeatureStore.open({ connection, token, now: () => 1_000 });
  const found = new Map<string, string>();
  await store.transaction(store.position + 1, (state) => {
    found.clear();
    for (const entity of ENTITIES)
      for (const key of state.keys(entity)) {
        const vector = state.get(entity, key);
        if (vector !== undefined) found.set(`${entity} ${key}`, bits(vector));
      }
  });
  return sorted(found);
}

export const contentsInMemory = (state: MemoryState): Contents =>
  sorted(
    new Map(
      Array.from(state.entries(), ([entity, key, vector]) => [`${entity} ${key}`, bits(vector)]),
    ),
  );
