import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { RoostError } from "../../errors.ts";
import type { Event } from "../events.ts";
import type { RedisConnection } from "../storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "../storage/redis-server.fixture.ts";
import type { EventLog } from "./event-log.ts";
import { openRedisEventLog, type RedisEventLog } from "./redis-event-log.ts";

const WRITERS = 8;
const BATCH = 5;

const follow = (event_id: string): Event => ({
  type: "follow",
  time_ms: 1,
  user_id: "1",
  target_id: "2",
  event_id,
});

/** Writers that append batch after batch; one that is refused is sent again, with the same ids, until it is acknowledged. */
function startWriters(log: EventLog) {
  const acknowledged = new Map<string, number>();
  const refusals = new Map<string, number>();
  let stopped = false;
  const writer = async (name: number): Promise<void> => {
    for (let i = 0; !stopped; i++) {
      const ids = Array.from({ length: BATCH }, (_, k) => `${name}-${i}-${k}`);
      for (;;) {
        try {
          const results = await log.append(ids.map(follow), 0);
          for (const [k, { seq }] of results.entries()) acknowledged.set(ids[k] as string, seq);
          break;
        } catch (error) {
          const { code } = error as { code: string };
          if (code !== "REDIS_UNAVAILABLE" && code !== "NOT_REPLICATED") throw error;
          refusals.set(code, (refusals.get(code) ?? 0) + 1);
          await delay(20);
        }
      }
    }
  };
  const all = Promise.all(Array.from({ length: WRITERS }, (_, name) => writer(name)));
  all.catch(() => {});
  return {
    acknowledged,
    refusals,
    more: async (count: number): Promise<void> => {
      const enough = acknowledged.size + count;
      while (acknowledged.size < enough) await Promise.race([delay(5), all]);
    },
    stop: async (): Promise<void> => {
      stopped = true;
      await all;
    },
  };
}

/** Every acknowledged event is there once, at its place, and each writer's are in its order. */
async function expectWhole(log: EventLog, acknowledged: Map<string, number>): Promise<void> {
  const events = await log.read({ fromSeq: 1, limit: Number.POSITIVE_INFINITY });
  expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
  expect(new Set(events.map((e) => e.event_id)).size).toBe(events.length);
  // Writers stopped when all that they sent was acknowledged.
  expect(new Map(events.map((e) => [e.event_id, e.seq]))).toEqual(acknowledged);
  const newest = new Map<string, number>();
  for (const { event_id } of events) {
    const [name, i, k] = (event_id as string).split("-") as [string, string, string];
    const place = Number(i) * BATCH + Number(k);
    expect(place).toBe((newest.get(name) ?? -1) + 1);
    newest.set(name, place);
  }
}

const reopened = async (redis: RedisConnection, log: EventLog): Promise<EventLog> => {
  await log.close();
  return openRedisEventLog(redis);
};

/** What another process sees while it follows from the first record on. */
async function followAlong(redis: RedisConnection) {
  const log = await openRedisEventLog(redis);
  const seen: string[] = [];
  const stop = new AbortController();
  const following = (async () => {
    while (!stop.signal.aborted) {
      const events = await log
        .read({ fromSeq: seen.length + 1, limit: 500 })
        .catch(() => delay(5, []));
      for (const { event_id } of events) seen.push(event_id as string);
      if (events.length === 0) await log.waitFor(seen.length + 1, stop.signal).catch(() => {});
    }
  })();
  return {
    /** Ends when it has seen `count`: all of them in order of seq. */
    until: async (count: number): Promise<string[]> => {
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(count);
      stop.abort();
      await following;
      await log.close();
      return seen;
    },
  };
}

const bySeq = (acknowledged: Map<string, number>): string[] =>
  [...acknowledged].sort((a, b) => a[1] - b[1]).map(([id]) => id);

test.skipIf(REDIS_MISSING)(
  "kill -9 during appends loses nothing acknowledged, and what is sent again is not doubled (needs redis-server)",
  async () => {
    const server = await startRedis({ durable: true });
    const redis = await connectTest(server.url);
    try {
      const log = await openRedisEventLog(redis);
      const writers = startWriters(log);
      const follower = await followAlong(redis);
      for (let kill = 0; kill < 4; kill++) {
        await writers.more(300);
        await server.kill();
        await delay(100);
        await server.restart();
      }
      await writers.more(300);
      await writers.stop();
      expect(writers.refusals.get("REDIS_UNAVAILABLE")).toBeGreaterThan(0);
      expect(await follower.until(writers.acknowledged.size)).toEqual(bySeq(writers.acknowledged));
      const again = await reopened(redis, log);
      await expectWhole(again, writers.acknowledged);
      await again.close();
    } finally {
      await redis.close();
      await server.stop();
    }
  },
);

test.skipIf(REDIS_MISSING)(
  "what no replica has copied is refused and not shown, and is a duplicate when it is sent again (needs redis-server)",
  async () => {
    const master = await startRedis({ durable: true, args: ["--repl-diskless-sync-delay", "0"] });
    const redis = await connectTest(master.url);
    // Opened before there is a replica: the first append after that one came is the first to hear of it.
    const log = await openRedisEventLog(redis, { replicaWaitMs: 500 });
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    try {
      await expect
        .poll(() => redisCli(master.port, "info", "replication"), { timeout: 10_000 })
        .toMatch(/state=online/);
      // One that is online may still be loading what it was sent first.
      await redis.client.set("t:before", "1");
      await expect.poll(() => redis.client.wait(1, 1_000), { timeout: 10_000 }).toBe(1);
      const other = await openRedisEventLog(redis, { replicaWaitMs: 500 });
      await other.append([follow("a")], 0);
      replica.pause();
      await expect(log.append([follow("b")], 0)).rejects.toMatchObject({
        code: "NOT_REPLICATED",
        status: 503,
      });
      // Over another connection, whose own writes are all copied: still not durable, so still not acknowledged.
      await expect(other.append([follow("b")], 0)).rejects.toMatchObject({
        code: "NOT_REPLICATED",
      });
      expect(await redis.client.xlen("t:{p0}log")).toBe(2);
      expect(log.lastSeq()).toBeLessThan(2);
      expect(other.lastSeq()).toBe(1);
      expect(await other.read({ fromSeq: 1, limit: 9 })).toHaveLength(1);
      replica.resume();
      // The first time it may still be behind.
      const again = () => log.append([follow("b"), follow("c")], 0).catch(({ code }) => code);
      await expect.poll(again, { timeout: 10_000 }).toEqual([
        { seq: 2, duplicate: true },
        { seq: 3, duplicate: expect.any(Boolean) },
      ]);
      await other.waitFor(3);
      await replica.stop();
      await expect
        .poll(() => redisCli(master.port, "info", "replication"), { timeout: 10_000 })
        .toMatch(/connected_slaves:0/);
      const strict = await openRedisEventLog(redis, { partition: 1 });
      expect(await strict.append([follow("d")], 0)).toEqual([{ seq: 1, duplicate: false }]);
      await expect(
        openRedisEventLog(redis, { partition: 1, replicas: 1, replicaWaitMs: 100 }),
      ).rejects.toMatchObject({ code: "NOT_REPLICATED" });
      await Promise.all([log.close(), other.close(), strict.close()]);
    } finally {
      await redis.close();
      await Promise.all([master.stop(), replica.stop()]);
    }
  },
);

/** The server that holds the partition's keys, and one that does not. */
function ownerOf(servers: readonly RedisServer[], key: string) {
  const [first] = servers as [RedisServer];
  const slot = Number(redisCli(first.port, "cluster", "keyslot", key));
  const holds = ({ port }: RedisServer): boolean =>
    redisCli(port, "cluster", "nodes")
      .split("\n")
      .filter((line) => /myself,master/.test(line))
      .some((line) =>
        line
          .split(" ")
          .slice(8)
          .some((range) => {
            const [from, to = from] = range.split("-").map(Number) as [number, number?];
            return from <= slot && slot <= to;
          }),
      );
  const owner = servers.find(holds) as RedisServer;
  return { slot, owner, other: servers.find((server) => server !== owner) as RedisServer };
}

test.skipIf(REDIS_MISSING)(
  "a slot that moves to another master during appends loses and doubles nothing (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster();
    const redis = await connectTest(cluster.url);
    try {
      const log = await openRedisEventLog(redis);
      const writers = startWriters(log);
      const follower = await followAlong(redis);
      await writers.more(1_000);
      const { slot, owner, other } = ownerOf(cluster.servers, "t:{p0}log");
      const at = String(slot);
      const [from, to] = [owner, other].map(({ port }) => redisCli(port, "cluster", "myid")) as [
        string,
        string,
      ];
      redisCli(other.port, "cluster", "setslot", at, "importing", from);
      redisCli(owner.port, "cluster", "setslot", at, "migrating", to);
      for (;;) {
        const keys = redisCli(owner.port, "cluster", "getkeysinslot", at, "50").split("\n");
        if (keys[0] === "") break;
        const moved = redisCli(
          ...[owner.port, "migrate", "127.0.0.1", String(other.port), "", "0", "5000"],
          ...["keys", ...keys],
        );
        expect(moved).toBe("OK");
        await delay(1);
      }
      for (const { port } of [other, owner, ...cluster.servers])
        redisCli(port, "cluster", "setslot", at, "node", to);
      await writers.more(1_000);
      await writers.stop();
      expect(await follower.until(writers.acknowledged.size)).toEqual(bySeq(writers.acknowledged));
      const again = await reopened(redis, log);
      await expectWhole(again, writers.acknowledged);
      await again.close();
    } finally {
      await redis.close();
      await cluster.stop();
    }
  },
);

/** Opens the log; on a busy machine a replica may at first take longer than an append waits. */
async function openedInTime(redis: RedisConnection): Promise<RedisEventLog> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openRedisEventLog(redis);
    } catch (error) {
      if ((error as RoostError).code !== "NOT_REPLICATED" || attempt === 20) throw error;
    }
  }
}

test.skipIf(REDIS_MISSING)(
  "a master's death with a replica in sync loses and doubles nothing (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster(3, 1);
    const redis = await connectTest(cluster.url);
    try {
      const log = await openedInTime(redis);
      const writers = startWriters(log);
      const follower = await followAlong(redis);
      await writers.more(500);
      const { owner } = ownerOf(cluster.servers, "t:{p0}log");
      await owner.kill();
      await writers.more(500);
      await writers.stop();
      expect(writers.refusals.get("REDIS_UNAVAILABLE")).toBeGreaterThan(0);
      expect(
        ownerOf(
          cluster.servers.filter((s) => s !== owner),
          "t:{p0}log",
        ).owner,
      ).toBeDefined();
      expect(await follower.until(writers.acknowledged.size)).toEqual(bySeq(writers.acknowledged));
      const again = await reopened(redis, log);
      await expectWhole(again, writers.acknowledged);
      await again.close();
    } finally {
      await redis.close();
      await cluster.stop();
    }
  },
);
