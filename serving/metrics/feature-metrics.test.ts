import { expect, onTestFinished, test } from "vitest";
import {
  connectTest,
  REDIS_MISSING,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import { ENTITIES } from "../../features/entities.ts";
import { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import type { FeatureUsage } from "../../features/usage.ts";
import { featureMetrics } from "./feature-metrics.ts";
import { createMetrics } from "./metrics.ts";

const figure = (text: string, series: string): number | undefined => {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

test("what state takes is told by entity as soon as it is known", async () => {
  const { registry } = createMetrics();
  let usage: FeatureUsage | undefined;
  featureMetrics(registry, { usage: () => usage });
  expect(await registry.metrics()).not.toContain("roost_feature_bytes{");
  usage = Object.fromEntries(
    ENTITIES.map((entity, i) => [entity, { entities: i, bytes: 100 * i }]),
  ) as unknown as FeatureUsage;
  const text = await registry.metrics();
  for (const [i, entity] of ENTITIES.entries()) {
    expect(figure(text, `roost_feature_entities{entity="${entity}"}`)).toBe(i);
    expect(figure(text, `roost_feature_bytes{entity="${entity}"}`)).toBe(100 * i);
  }
  expect(text).not.toContain("roost_feature_reads_total");
});

test.skipIf(REDIS_MISSING)(
  "reads on Redis are counted by entity and status, with the age of what they gave (needs redis-server)",
  async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const connection = await connectTest(redis.url);
    onTestFinished(() => connection.close());
    const store = await RedisFeatureStore.open({ connection, token: 1, now: () => 1 });
    await store.transaction(1, (state) => {
      state.edit("global", "*");
      state.edit("user", "1");
      state.edit("post", "8");
      state.edit("author", "2");
    });
    let now = 0;
    const reads = new RedisFeatureReads(connection, () => now, {
      entities: new Set(["global", "user", "author", "post"]),
    });
    const { registry } = createMetrics();
    featureMetrics(registry, { usage: () => undefined, reads });
    const ask = { userId: "1", postIds: ["8", "9"], authorIds: ["2"] };
    await reads.load(ask);
    now = 400;
    await reads.load(ask);
    await redis.kill();
    now = 3_000;
    await reads.load(ask);
    now = 120_000;
    await reads.load(ask);
    const text = await registry.metrics();
    const count = (entity: string, status: string) =>
      figure(text, `roost_feature_reads_total{entity="${entity}",status="${status}"}`);
    const statuses = ["present", "missing", "stale", "expired"];
    expect(statuses.map((status) => count("user", status))).toEqual([2, 0, 1, 1]);
    expect(statuses.map((status) => count("post", status))).toEqual([2, 2, 2, 2]);
    expect(statuses.map((status) => count("topic", status))).toEqual([0, 0, 0, 0]);
    const upTo = (le: number) => figure(text, `roost_feature_age_seconds_bucket{le="${le}"}`);
    // At once, 400 ms, 3 s; what had expired was not used.
    expect([0.001, 0.25, 0.5, 2.5, 5].map(upTo)).toEqual([2, 2, 3, 3, 4]);
    // Scraped again, nothing has been read again.
    const again = await registry.metrics();
    expect(figure(again, `roost_feature_reads_total{entity="post",status="missing"}`)).toBe(2);
  },
);
