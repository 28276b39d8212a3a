import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { RedisConnection } from "../storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "../storage/redis-server.fixture.ts";
import { holdLease } from "./held-lease.ts";
import { leasesContract } from "./leases.contract.ts";
import type { Leases } from "./leases.ts";
import { type MemoryLeaseStore, memoryLeases } from "./memory-leases.ts";
import { redisLeases } from "./redis-leases.ts";

leasesContract("memory", 1_000, async () => {
  let now = 0;
  const store: MemoryLeaseStore = new Map();
  return {
    owners: [
      memoryLeases(1_000, () => now, "a", store),
      memoryLeases(1_000, () => now, "b", store),
    ],
    pass: async (ms) => {
      now += ms;
    },
  };
});

describe.skipIf(REDIS_MISSING)("in Redis (needs redis-server)", () => {
  let server: RedisServer;
  let redis: RedisConnection;
  let spaces = 0;
  beforeAll(async () => {
    server = await startRedis();
    redis = await connectTest(server.url);
  });
  afterAll(async () => {
    await redis.close();
    await server.stop();
  });
  const fresh = (): RedisConnection => ({
    ...redis,
    target: { ...redis.target, prefix: `t${spaces++}:` },
  });

  // Long enough that a busy machine answers within two fifths of it.
  const TTL_MS = 1_500;
  leasesContract("redis", TTL_MS, async () => {
    const space = fresh();
    return {
      owners: [
        redisLeases(space, { owner: "a", ttlMs: TTL_MS }),
        redisLeases(space, { owner: "b", ttlMs: TTL_MS }),
      ],
      pass: (ms) => delay(ms),
    };
  });

  test("a token that a fail-over forgot fences its owner when its number is given again", async () => {
    const space = fresh();
    const first = redisLeases(space, { owner: "a" });
    const second = redisLeases(space, { owner: "b" });
    await first.acquire("c", 0);
    await space.client.del(`${space.target.prefix}{p0}lease:c`);
    await space.client.del(`${space.target.prefix}{p0}fence:c`);
    expect(await second.acquire("c", 0)).toEqual({ token: 1 });
    await expect(first.commitPosition("c", 0, 1, 1)).rejects.toMatchObject({ code: "FENCED" });
    expect(await first.renew("c", 0, 1)).toBe(false);
    await second.commitPosition("c", 0, 2, 1);
  });

  test("a grant that no replica has is not told and let go", async () => {
    const master = await startRedis({ args: ["--repl-diskless-sync-delay", "0"] });
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    const connection = await connectTest(master.url);
    try {
      await expect
        .poll(() => connection.client.info("replication"), { timeout: 10_000 })
        .toMatch(/state=online/);
      const leases = redisLeases(connection, { owner: "a" });
      replica.pause();
      await expect(leases.acquire("c", 0)).rejects.toMatchObject({ code: "NOT_REPLICATED" });
      replica.resume();
      // The first time it may still be behind; each try takes a token.
      await expect
        .poll(
          () =>
            leases.acquire("c", 0).then(
              (grant) => grant?.token,
              () => 0,
            ),
          {
            timeout: 10_000,
          },
        )
        .toBeGreaterThanOrEqual(2);
    } finally {
      await connection.close();
      await Promise.all([master.stop(), replica.stop()]);
    }
  });

  test("while Redis is gone nothing is granted, and a held lease is lost at its end", async () => {
    const own = await startRedis();
    const connection = await connectTest(own.url);
    try {
      const leases = redisLeases(connection, { owner: "a", ttlMs: 300 });
      const held = await holdLease(leases, "c", 0, () => performance.now());
      await own.kill();
      await expect(leases.acquire("d", 0)).rejects.toMatchObject({ code: "REDIS_UNAVAILABLE" });
      await expect.poll(() => held?.lost.aborted, { timeout: 10_000 }).toBe(true);
    } finally {
      await connection.close();
      await own.stop();
    }
  });
});

test.skipIf(REDIS_MISSING)(
  "on a cluster each partition's leases lie with its log, on whichever master (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster();
    const redis = await connectTest(cluster.url);
    try {
      const [mine, theirs] = ["a", "b"].map((owner) => redisLeases(redis, { owner })) as [
        Leases,
        Leases,
      ];
      const partitions = Array.from({ length: 12 }, (_, partition) => partition);
      for (const partition of partitions) {
        expect(await mine.acquire("c", partition)).toEqual({ token: 1 });
        expect(await theirs.acquire("c", partition)).toBeUndefined();
        await mine.commitPosition("c", partition, partition + 5, 1);
        expect(await theirs.position("c", partition)).toBe(partition + 5);
        await mine.release("c", partition, 1);
        expect(await theirs.acquire("c", partition)).toEqual({ token: 2 });
        await expect(mine.commitPosition("c", partition, 1, 1)).rejects.toMatchObject({
          code: "FENCED",
        });
      }
      const held = cluster.servers.map(({ port }) => Number(redisCli(port, "dbsize")));
      expect(held.every((keys) => keys > 0)).toBe(true);
    } finally {
      await redis.close();
      await cluster.stop();
    }
  },
);

describe("a held lease", () => {
  afterEach(() => {
    vi.useRealTimers();
  });
  /** Leases whose store and owner go by one clock that the test moves; `paused` holds an owner's calls up. */
  const setUp = async () => {
    vi.useFakeTimers();
    const store = memoryLeases(900, () => Date.now());
    const held = await holdLease(store, "c", 0, () => Date.now());
    return { store, held: held as NonNullable<typeof held> };
  };

  test("is renewed until it is released", async () => {
    const { store, held } = await setUp();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(held.lost.aborted).toBe(false);
    expect(await store.acquire("c", 0)).toBeUndefined();
    await held.commitPosition(7);
    await held.release();
    expect(held.lost.aborted).toBe(true);
    expect(await store.acquire("c", 0)).toEqual({ token: 2 });
  });

  test("is lost when its owner was halted past its time, and its commits are refused once another has it", async () => {
    const { store, held } = await setUp();
    // The process stood still: time went by and no timer ran.
    vi.setSystemTime(Date.now() + 5_000);
    expect(await store.acquire("c", 0)).toEqual({ token: 2 });
    await expect(held.commitPosition(7)).rejects.toMatchObject({ code: "FENCED" });
    await vi.advanceTimersByTimeAsync(300);
    expect(held.lost.aborted).toBe(true);
    expect(held.lost.reason).toMatchObject({ code: "FENCED" });
  });

  test("is lost when a renewal is refused, and at its time when none is answered", async () => {
    const { store, held } = await setUp();
    await store.release("c", 0, held.token);
    await vi.advanceTimersByTimeAsync(230);
    expect(held.lost.reason).toMatchObject({ detail: expect.stringContaining("has ended") });

    const silent: Leases = { ...store, renew: () => new Promise(() => {}) };
    const unheard = await holdLease(silent, "d", 0, () => Date.now());
    await vi.advanceTimersByTimeAsync(890);
    expect(unheard?.lost.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(10);
    expect(unheard?.lost.aborted).toBe(true);
  });

  test("outlives renewals that fail for a while", async () => {
    const { store, held: _ } = await setUp();
    let failures = 0;
    const shaky: Leases = {
      ...store,
      renew: (...call) =>
        failures++ % 3 < 2 ? Promise.reject(new Error("gone")) : store.renew(...call),
    };
    const held = await holdLease(shaky, "d", 0, () => Date.now());
    await vi.advanceTimersByTimeAsync(5_000);
    expect(held?.lost.aborted).toBe(false);
    expect(failures).toBeGreaterThan(15);
  });
});
