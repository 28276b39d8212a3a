import { expect, onTestFinished, test } from "vitest";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { ENTITIES } from "../entities.ts";
import { MemoryState } from "../memory-store.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { measureUsage } from "./feature-usage.ts";
import { RedisFeatureStore } from "./redis-store.ts";
import { watchUsage } from "./usage-watch.ts";

for (const kind of ["one server", "a cluster"] as const)
  test.skipIf(REDIS_MISSING)(
    `vectors are counted by entity, and a sample tells what they take: ${kind} (needs redis-server)`,
    async () => {
      const redis = kind === "a cluster" ? await startRedisCluster() : await startRedis();
      onTestFinished(() => redis.stop());
      const connection = await connectTest(redis.url);
      onTestFinished(() => connection.close());
      const state = new MemoryState();
      for (const event of smallWorld(3, { users: 120, posts: 900, impressions: 4_000 }))
        applyEvent(state, event);
      const store = await RedisFeatureStore.open({ connection, token: 1, now: () => 1 });
      await store.replaceAll(7, state.entries());
      const other = { connection, token: 1, now: () => 1, layout: "0123456789abcdef" };
      await (await RedisFeatureStore.open(other)).replaceAll(7, state.entries());

      const usage = await measureUsage(connection, { pauseMs: 0 });
      const whole = await sizes(connection, state);
      for (const entity of ENTITIES) {
        const { entities, bytes } = whole.get(entity) as { entities: number; bytes: number };
        expect(usage[entity].entities, entity).toBe(entities);
        // All of the first hundred are asked for; of more it is a sample.
        if (entities <= 100) expect(usage[entity].bytes, entity).toBe(bytes);
        else expect(Math.abs(usage[entity].bytes / bytes - 1), entity).toBeLessThan(0.15);
      }
    },
  );

/** What every single key takes. */
async function sizes({ client, target }: RedisConnection, state: MemoryState) {
  const keys = new FeatureKeys(target.prefix);
  const all = new Map(ENTITIES.map((entity) => [entity, { entities: 0, bytes: 0 }]));
  for (const [entity, key] of state.entries()) {
    const sum = all.get(entity) as { entities: number; bytes: number };
    sum.entities++;
    sum.bytes += (await client.memory("USAGE", keys.of(entity, key), "SAMPLES", 0)) as number;
  }
  return all;
}

test("what was counted last is at hand; a count that fails leaves it, and closing ends the one under way", async () => {
  const usage = (bytes: number) =>
    Object.fromEntries(ENTITIES.map((entity) => [entity, { entities: 1, bytes }])) as never;
  let counts = 0;
  let asked: AbortSignal | undefined;
  const watch = watchUsage(
    async (signal) => {
      asked = signal;
      if (++counts === 2) throw new Error("Redis is gone");
      if (counts > 3) await new Promise((_, reject) => signal.addEventListener("abort", reject));
      return usage(counts);
    },
    { firstAfterMs: 0, everyMs: 1 },
  );
  expect(watch.latest()).toBeUndefined();
  await expect.poll(() => counts).toBe(4);
  expect(watch.latest()).toEqual(usage(3));
  await watch.close();
  expect(asked?.aborted).toBe(true);
});
