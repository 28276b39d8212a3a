import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../events.ts";
import type { RedisConnection } from "../storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisCluster,
  type RedisServer,
  redisCli,
  startRedis,
  startRedisCluster,
} from "../storage/redis-server.fixture.ts";
import { eventLogContract } from "./event-log.contract.ts";
import { followLog } from "./reader.ts";
import { openRedisEventLog, type RedisEventLogOptions } from "./redis-event-log.ts";
import { SegmentRoller } from "./roller.ts";

const follow = (time_ms: number, event_id?: string): Event => ({
  type: "follow",
  time_ms,
  user_id: "1",
  target_id: "2",
  ...(event_id === undefined ? {} : { event_id }),
});

let spaces = 0;

describe.skipIf(REDIS_MISSING)("on one server (needs redis-server)", () => {
  let server: RedisServer;
  let redis: RedisConnection;
  beforeAll(async () => {
    server = await startRedis({ durable: true });
    redis = await connectTest(server.url);
  });
  afterAll(async () => {
    await redis.close();
    await server.stop();
  });
  const at = (prefix: string): RedisConnection => ({
    ...redis,
    target: { ...redis.target, prefix },
  });
  const fresh = (options: RedisEventLogOptions = {}) =>
    openRedisEventLog(at(`t${spaces++}:`), options);

  eventLogContract("redis", fresh);

  test("records, ids, seqs and the trimmed beginning are there for the next who opens it", async () => {
    const first = await openRedisEventLog(at("again:"));
    await first.append([follow(1, "a"), follow(2, "b")], 0);
    await first.trim(2);
    await first.append([follow(3, "c")], 0);
    await first.close();
    const second = await openRedisEventLog(at("again:"));
    expect([second.firstSeq(), second.lastSeq()]).toEqual([3, 3]);
    expect(await second.append([follow(1, "a"), follow(4)], 9)).toEqual([
      { seq: 1, duplicate: true },
      { seq: 4, duplicate: false },
    ]);
    await second.close();
  });

  test("a log that is open elsewhere shows what is appended and trimmed, and recognises its ids", async () => {
    const here = await openRedisEventLog(at("both:"));
    const there = await openRedisEventLog(at("both:"));
    const waiting = there.waitFor(2);
    await here.append([follow(1, "a"), follow(2, "b")], 0);
    await waiting;
    expect((await there.read({ fromSeq: 1, limit: 9 })).map((e) => e.event_id)).toEqual(["a", "b"]);
    expect(await there.append([follow(2, "b"), follow(3, "c")], 0)).toEqual([
      { seq: 2, duplicate: true },
      { seq: 3, duplicate: false },
    ]);
    await here.waitFor(3);
    await here.trim(2);
    await expect(there.read({ fromSeq: 1, limit: 9 })).rejects.toMatchObject({
      code: "LOG_TRIMMED",
    });
    expect(there.firstSeq()).toBe(3);
    await Promise.all([here.close(), there.close()]);
  });

  test("partitions count for themselves", async () => {
    const logs = await Promise.all(
      [0, 1].map((partition) => openRedisEventLog(at("parts:"), { partition })),
    );
    for (const log of logs)
      expect(await log.append([follow(1, "same")], 0)).toEqual([{ seq: 1, duplicate: false }]);
    await Promise.all(logs.map((log) => log.close()));
  });

  test("a full log refuses what is new, whole, and still knows duplicates; a trim makes room", async () => {
    const log = await fresh({ maxLength: 3 });
    await log.append([follow(1, "a"), follow(2, "b")], 0);
    await expect(log.append([follow(3, "c"), follow(4, "d")], 0)).rejects.toMatchObject({
      code: "LOG_FULL",
      status: 503,
    });
    expect(log.lastSeq()).toBe(2);
    expect(await log.append([follow(3, "c"), follow(2, "b")], 0)).toEqual([
      { seq: 3, duplicate: false },
      { seq: 2, duplicate: true },
    ]);
    expect(await log.append([follow(1, "a")], 0)).toEqual([{ seq: 1, duplicate: true }]);
    await log.trim(2);
    expect(await log.append([follow(4, "d")], 0)).toEqual([{ seq: 4, duplicate: false }]);
    await log.close();
  });

  test("rolled into segments while it is appended to, a bounded log is followed without a gap", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "roost-redis-segments-"));
    const prefix = `t${spaces++}:`;
    const log = await openRedisEventLog(at(prefix), { maxLength: 100 });
    const elsewhere = await openRedisEventLog(at(prefix));
    const roller = new SegmentRoller({ log, dir, rowsPerSegment: 30 });
    const stop = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      const places = { segments: dir, log: elsewhere };
      for await (const events of followLog(places, 1, stop.signal))
        for (const { seq } of events) seen.push(seq);
    })();
    try {
      for (let i = 0; i < 30; i++) {
        await log.append(
          Array.from({ length: 20 }, (_, k) => follow(i, `${i}-${k}`)),
          i,
        );
        await roller.roll(i);
      }
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(600);
      stop.abort();
      await following;
      expect(seen).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
      expect(log.firstSeq()).toBe(601);
    } finally {
      stop.abort();
      await Promise.all([log.close(), elsewhere.close()]);
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test("a batch of a thousand is added whole, one more is refused", async () => {
    const log = await fresh();
    const batch = Array.from({ length: 1000 }, (_, i) => follow(i, `e${i}`));
    expect((await log.append(batch, 0)).at(-1)).toEqual({ seq: 1000, duplicate: false });
    await expect(log.append([...batch, follow(1)], 0)).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
    });
    const back = await log.read({ fromSeq: 1, limit: Number.POSITIVE_INFINITY });
    expect(back.map((e) => e.event_id)).toEqual(batch.map((e) => e.event_id));
    await log.close();
  });

  test("event ids expire by Redis itself, long after the window", async () => {
    const log = await openRedisEventLog(at("ttl:"));
    await log.append([follow(1, "a")], 0);
    const ttl = await redis.client.pttl('ttl:{p0}id:"a"');
    expect(ttl / 3_600_000).toBeGreaterThan(95);
    expect(ttl / 3_600_000).toBeLessThanOrEqual(96);
    await log.close();
  });

  test("an acknowledgement is worth what the server's settings say", async () => {
    const level = async (): Promise<string> => {
      const log = await fresh();
      await log.close();
      return `${log.durability.level}: ${log.durability.reason}`;
    };
    expect(await level()).toMatch(/^always: /);
    redisCli(server.port, "config", "set", "appendfsync", "everysec");
    expect(await level()).toMatch(/^weaker: appendfsync is everysec/);
    redisCli(server.port, "config", "set", "appendfsync", "always");
    redisCli(server.port, "acl", "setuser", "app", "on", ">pw", "~*", "+@all", "-@admin");
    const app = await connectTest(server.url.replace("//", "//app:pw@"), "app:");
    const log = await openRedisEventLog(app);
    expect(log.durability).toEqual({
      level: "unknown",
      reason: expect.stringContaining("NOPERM"),
      replicas: 0,
    });
    expect(await log.append([follow(1)], 0)).toEqual([{ seq: 1, duplicate: false }]);
    await log.close();
    await app.close();
  });

  test("a log whose unrolled events lie behind the segments is refused", async () => {
    const log = await openRedisEventLog(at("behind:"));
    await log.append([follow(1)], 0);
    await log.close();
    await expect(openRedisEventLog(at("behind:"), { startAfterSeq: 10 })).rejects.toThrow(
      /segments end at 10/,
    );
  });

  test("what would take a seq again after Redis lost events is refused until a restart", async () => {
    const log = await openRedisEventLog(at("lost:"));
    await log.append([follow(1), follow(2)], 0);
    const waiting = log.waitFor(3);
    waiting.catch(() => {});
    await redis.client.set("lost:{p0}seq", "1");
    await redis.client.xdel("lost:{p0}log", "2-0");
    await expect(log.append([follow(3)], 0)).rejects.toThrow(/ends at seq 1, but 2 was/);
    await expect(waiting).rejects.toMatchObject({ code: "BAD_STORE" });
    await expect(log.read({ fromSeq: 1, limit: 1 })).rejects.toMatchObject({ code: "BAD_STORE" });
    await log.close();
  });

  test("an append without an answer is refused, and is not sent again by itself", async () => {
    const log = await openRedisEventLog(at("mute:"));
    server.pause();
    const appends = [1, 2, 3].map((time) => log.append([follow(time)], 0));
    const refusals = await Promise.allSettled(appends);
    server.resume();
    expect(refusals).toEqual(
      appends.map(() => ({
        status: "rejected",
        reason: expect.objectContaining({ code: "REDIS_UNAVAILABLE", status: 503 }),
      })),
    );
    // Two had been sent and were done when the server went on; the third waited for its turn and never went.
    await log.waitFor(2);
    expect(await log.append([follow(4)], 0)).toEqual([{ seq: 3, duplicate: false }]);
    expect((await log.read({ fromSeq: 1, limit: 9 })).map((e) => e.time_ms)).toEqual([1, 2, 4]);
    await log.close();
  });

  test("scripts that the server has forgotten are loaded again", async () => {
    const log = await fresh();
    await log.append([follow(1)], 0);
    redisCli(server.port, "script", "flush");
    expect(await log.append([follow(2)], 0)).toEqual([{ seq: 2, duplicate: false }]);
    await log.close();
  });
});

describe.skipIf(REDIS_MISSING)("on three masters (needs redis-server)", () => {
  let cluster: RedisCluster;
  let redis: RedisConnection;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    redis = await connectTest(cluster.url);
  });
  afterAll(async () => {
    await redis.close();
    await cluster.stop();
  });

  eventLogContract("redis cluster", (options) =>
    openRedisEventLog(
      { ...redis, target: { ...redis.target, prefix: `t${spaces++}:` } },
      { ...options, partition: spaces % 7 },
    ),
  );
});
