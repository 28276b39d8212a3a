import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { RedisTimelines } from "./redis-timelines.ts";
import { timelineStoreContract } from "./timeline-store.contract.ts";

const NOON = Date.UTC(2025, 4, 5, 12);

describe.skipIf(REDIS_MISSING)("with a server (needs redis-server)", () => {
  let server: RedisServer;
  let redis: RedisConnection;
  beforeAll(async () => {
    server = await startRedis();
    redis = await connectTest(server.url);
  });
  afterAll(async () => {
    await redis.close();
    await server.stop();
  });
  const empty = async (): Promise<RedisTimelines> => {
    await redis.client.flushall();
    return new RedisTimelines(redis, { readTimeoutMs: 10_000 });
  };
  timelineStoreContract(empty);

  test("a timeline expires when nobody reads it, and reading it puts that off", async () => {
    const store = await empty();
    await store.rebuild("1", { entries: [], floorMs: -1, builtAtMs: NOON });
    await redis.client.pexpire("t:t:{1}", 5_000);
    await store.push([{ entry: { postId: "1", timeMs: NOON }, userIds: ["1"] }]);
    expect(await redis.client.pttl("t:t:{1}")).toBeLessThanOrEqual(5_000);
    await store.read("1", { limit: 1 });
    expect(await redis.client.pttl("t:t:{1}")).toBeGreaterThan(86_400_000);
  });

  test("pushes that nobody made a timeline of expire too", async () => {
    const store = await empty();
    await store.push([{ entry: { postId: "1", timeMs: NOON }, userIds: ["1"] }]);
    expect(await redis.client.pttl("t:t:{1}")).toBeGreaterThan(0);
  });

  test("a process that does not know a timeline's length looks at it once and cuts it", async () => {
    const store = await empty();
    const entries = Array.from({ length: 900 }, (_, i) => ({ postId: `${i}`, timeMs: NOON + i }));
    await store.rebuild("1", { entries, floorMs: -1, builtAtMs: NOON });
    const other = new RedisTimelines(redis);
    await other.push([{ entry: { postId: "900", timeMs: NOON + 900 }, userIds: ["1"] }]);
    expect(await store.count("1")).toBe(800);
    await redis.client.config("RESETSTAT");
    for (let i = 901; i < 1_001; i++)
      await other.push([{ entry: { postId: `${i}`, timeMs: NOON + i }, userIds: ["1"] }]);
    expect(redisCli(server.port, "info", "commandstats")).not.toMatch(/evalsha/);
    expect(await store.count("1")).toBe(900);
  });

  test("800 entries take less memory than they would by decimal ids", async () => {
    const store = await empty();
    const entries = Array.from({ length: 800 }, (_, i) => ({
      postId: String(2n ** 60n + BigInt(i) * 4_194_304n),
      timeMs: NOON + i,
    }));
    await store.rebuild("1", { entries, floorMs: -1, builtAtMs: NOON });
    for (const { postId, timeMs } of entries) await redis.client.zadd("t:plain", timeMs, postId);
    const plain = Number(await redis.client.memory("USAGE", "t:plain", "SAMPLES", 0));
    expect(await store.bytes("1")).toBeLessThan(plain);
  });

  test("a server that is gone rejects what is asked, and nothing is counted as pushed", async () => {
    const gone = await startRedis();
    const lost = await connectTest(gone.url);
    const store = new RedisTimelines(lost);
    await gone.kill();
    const push = [{ entry: { postId: "1", timeMs: NOON }, userIds: ["1", "2"] }];
    await expect(store.push(push)).rejects.toThrow();
    await expect(store.read("1", { limit: 1 })).rejects.toThrow();
    await gone.restart();
    await expect
      .poll(
        () =>
          store
            .push(push)
            .then(() => store.count("1"))
            .catch(() => "gone"),
        { timeout: 10_000 },
      )
      .toBe(1);
    await lost.close();
    await gone.stop();
  });
});

describe.skipIf(REDIS_MISSING)("with a cluster (needs redis-server)", () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  let redis: RedisConnection;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    redis = await connectTest(cluster.url);
  });
  afterAll(async () => {
    await redis?.close();
    await cluster?.stop();
  });
  timelineStoreContract(async () => {
    for (const { port } of cluster.servers) redisCli(port, "flushall");
    return new RedisTimelines(redis, { readTimeoutMs: 10_000 });
  });
});
