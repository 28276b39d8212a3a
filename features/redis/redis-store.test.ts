import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Leases } from "../../datasets/log/leases.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { SLOTS } from "../registry.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { storeContract } from "../store.contract.ts";
import { STORED_LAYOUT } from "./feature-keys.ts";
import { layoutLease } from "./layout-lease.ts";
import { RedisFeatureStore, type RedisStoreOptions } from "./redis-store.ts";
import { removeOtherLayouts } from "./removal.ts";
import { contentsInMemory, contentsOf } from "./stored-features.fixture.ts";

let spaces = 0;

describe.skipIf(REDIS_MISSING)("on one server (needs redis-server)", () => {
  let server: RedisServer;
  let connection: RedisConnection;
  beforeAll(async () => {
    server = await startRedis();
    connection = await connectTest(server.url, "single:");
  });
  afterAll(async () => {
    await connection.close();
    await server.stop();
  });
  const space = (): RedisConnection => ({
    ...connection,
    target: { ...connection.target, prefix: `s${++spaces}:` },
  });
  const open = (at: RedisConnection, options: Partial<RedisStoreOptions> = {}) =>
    RedisFeatureStore.open({ connection: at, token: 1, now: () => 1_000, ...options });

  describe("the Redis store", () => storeContract(() => open(space())));

  test("vectors and position are there for the next owner, who fetches what a change looks at", async () => {
    const at = space();
    const first = await open(at);
    await first.transaction(41, (state) => {
      state.edit("user", "1").fill(0.1);
      state.edit("token", "").fill(Number.NaN);
      state.edit("surface", "a\ud800").fill(-0);
    });
    await first.transaction(42, (state) => state.delete("user", "absent"));
    const second = await open(at, { token: 2, cacheEntries: 1 });
    expect(second.position).toBe(42);
    let found: (Float64Array | undefined)[] = [];
    await second.transaction(43, (state) => {
      found = [
        state.get("user", "1"),
        state.get("token", ""),
        state.get("surface", "a\ud800"),
        state.get("surface", "a\ud801"),
        state.get("user", "absent"),
      ];
    });
    expect(found).toEqual([
      new Float64Array(SLOTS.user).fill(0.1),
      new Float64Array(SLOTS.token).fill(Number.NaN),
      new Float64Array(SLOTS.surface).fill(-0),
      undefined,
      undefined,
    ]);
    expect(Object.is(found[2]?.[0], -0)).toBe(true);
  });

  test("an owner that was replaced changes nothing, neither a batch nor what is left of one", async () => {
    const at = space();
    const old = await open(at, { token: 1 });
    await old.transaction(1, (state) => state.edit("user", "1").fill(1));
    const owner = await open(at, { token: 2 });
    await owner.transaction(2, (state) => {
      state.edit("user", "1").fill(2);
      state.delete("post", "9");
    });
    await expect(
      old.transaction(2, (state) => {
        state.edit("user", "1").fill(7);
        state.edit("post", "9").fill(7);
      }),
    ).rejects.toMatchObject({ code: "FENCED" });
    await expect(old.transaction(3, () => {})).rejects.toMatchObject({ code: "FENCED" });
    await expect(open(at, { token: 1 })).rejects.toMatchObject({ code: "FENCED" });
    const after = await open(at, { token: 3 });
    expect(after.position).toBe(2);
    await after.transaction(3, (state) => {
      expect(state.get("user", "1")).toEqual(new Float64Array(SLOTS.user).fill(2));
      expect(state.get("post", "9")).toBeUndefined();
    });
  });

  test("a deletion of a whole user reaches vectors that no owner holds", async () => {
    const at = space();
    const events = smallWorld(31, { impressions: 150, posts: 30 });
    const gone = {
      type: "user_deleted",
      time_ms: (events.at(-1)?.time_ms as number) + 1,
      user_id: "3",
    } as const;
    const state = new MemoryState();
    for (const event of [...events, gone]) applyEvent(state, event);
    const first = await open(at);
    await first.transaction(events.length, (state) => {
      for (const event of events) applyEvent(state, event);
    });
    const second = await open(at, { token: 2 });
    await second.transaction(events.length + 1, (state) => applyEvent(state, gone));
    expect(await contentsOf(at, 3)).toEqual(contentsInMemory(state));
  });

  test("the position ends a transaction that Redis refused; opened again, the store goes on", async () => {
    const at = space();
    const store = await open(at, { attempts: 2 });
    await store.transaction(1, (state) => state.edit("user", "1").fill(1));
    await server.kill();
    await expect(
      store.transaction(2, (state) => state.edit("user", "1").fill(2)),
    ).rejects.toMatchObject({ code: "REDIS_UNAVAILABLE" });
    expect(store.position).toBe(1);
    expect(store.get("user", "1")?.[0]).toBe(1);
    await expect(store.transaction(2, () => {})).rejects.toMatchObject({
      code: "REDIS_UNAVAILABLE",
    });
    await server.restart();
    await expect.poll(() => connection.client.ping().catch(() => "gone")).toBe("PONG");
    // This server keeps nothing over its end.
    expect((await open(at, { token: 2 })).position).toBe(0);
  });

  test("a store that is dropped is empty, at 0, and for its owner alone; other layouts go by themselves, unless somebody writes them", async () => {
    const at = space();
    const old = await open(at, { layout: "0123456789abcdef" });
    await old.transaction(7, (state) => state.edit("user", "1").fill(1));
    const store = await open(at, { token: 5 });
    expect(store.position).toBe(0);
    await store.transaction(3, (state) => state.edit("user", "1").fill(3));
    await store.drop();
    expect(store.position).toBe(0);
    await expect(open(at, { token: 4 })).rejects.toMatchObject({ code: "FENCED" });
    await store.transaction(1, (state) => {
      expect(state.get("user", "1")).toBeUndefined();
      state.edit("user", "2").fill(2);
    });
    expect([...(await contentsOf(at, 6)).keys()]).toEqual(["user 2"]);
    const [mine, theirs] = ["a", "b"].map((owner) => redisLeases(at, { owner })) as [
      Leases,
      Leases,
    ];
    const removal = { leases: mine, monotonicMs: () => performance.now() };
    const token = (await theirs.acquire(layoutLease("0123456789abcdef"), 0))?.token as number;
    expect(await removeOtherLayouts(at, removal)).toEqual({
      removed: 0,
      written: ["0123456789abcdef"],
    });
    await theirs.release(layoutLease("0123456789abcdef"), 0, token);
    expect(await removeOtherLayouts(at, removal)).toEqual({ removed: 2, written: [] });
    const left = await at.client.keys(`${at.target.prefix}f:*`);
    expect(left.every((key) => key.includes(STORED_LAYOUT))).toBe(true);
    expect(left.length).toBe(2);
  });
});

describe.skipIf(REDIS_MISSING)("on a cluster of three masters (needs redis-server)", () => {
  let cluster: RedisCluster;
  let connection: RedisConnection;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    connection = await connectTest(cluster.url, "cluster:");
  });
  afterAll(async () => {
    await connection.close();
    await cluster.stop();
  });
  const space = (): RedisConnection => ({
    ...connection,
    target: { ...connection.target, prefix: `c${++spaces}:` },
  });

  describe("the Redis store", () =>
    storeContract(() =>
      RedisFeatureStore.open({ connection: space(), token: 1, now: () => 1_000 }),
    ));
});
