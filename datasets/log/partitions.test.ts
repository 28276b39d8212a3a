import fc from "fast-check";
import { expect, test } from "vitest";
import { anyEvent } from "../events.arbitrary.ts";
import type { Event } from "../events.ts";
import { connectTest, REDIS_MISSING, startRedis } from "../storage/redis-server.fixture.ts";
import type { EventLog } from "./event-log.ts";
import { memoryEventLog } from "./memory-event-log.ts";
import { partitionedLog, partitionOf } from "./partitions.ts";
import { openRedisPartitions } from "./redis-partitions.ts";

const follow = (user_id: string, time_ms: number): Event => ({
  type: "follow",
  time_ms,
  user_id,
  target_id: "9",
  event_id: `${user_id}-${time_ms}`,
});
const memoryLogs = (n: number): EventLog[] => Array.from({ length: n }, () => memoryEventLog());

test("an event's partition is its actor's, and for ever the same", () => {
  const post = { type: "post_created", time_ms: 1, post_id: "7", author_id: "3" } as Event;
  const like = { type: "engagement", time_ms: 2, user_id: "3", post_id: "8", author_id: "5" };
  expect(partitionOf(post, 16)).toBe(partitionOf(follow("3", 1), 16));
  expect(partitionOf({ ...like, head: "favorite" } as Event, 16)).toBe(partitionOf(post, 16));
  const deleted: Event = { type: "post_deleted", time_ms: 1, post_id: "3" };
  expect(partitionOf(deleted, 16)).toBe(partitionOf(post, 16));
  expect(partitionOf({ ...deleted, post_id: "7", author_id: "3" }, 16)).toBe(partitionOf(post, 16));
  expect(
    ["1", "2", "3", "18446744073709551615"].map((id) => partitionOf(follow(id, 1), 16)),
  ).toEqual([11, 8, 14, 3]);
});

test("every event has a partition, and actors spread evenly over them", () => {
  fc.assert(
    fc.property(anyEvent(), fc.integer({ min: 1, max: 64 }), (event, partitions) => {
      const partition = partitionOf(event, partitions);
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
    }),
    { seed: 5 },
  );
  const counts = new Array<number>(8).fill(0);
  for (let id = 0; id < 80_000; id++) {
    const partition = partitionOf(follow(String(id), 1), 8);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  // Six standard deviations of a fair draw.
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(6 * 94);
});

test("results come in the order given, whatever partitions the events went to", async () => {
  const log = partitionedLog(memoryLogs(4));
  const events = Array.from({ length: 40 }, (_, i) => follow(String(i % 7), i));
  const results = await log.append([...events, follow("0", 0)], 0);
  expect(results).toHaveLength(41);
  expect(results.at(-1)).toEqual({ ...results[0], duplicate: true });
  for (const [i, event] of events.entries()) {
    const { partition, seq } = results[i] as (typeof results)[number];
    expect(partition).toBe(partitionOf(event, 4));
    const [found] = await (log.partitions[partition] as EventLog).read({ fromSeq: seq, limit: 1 });
    expect(found?.event_id).toBe(event.event_id);
  }
});

test("an append that one partition refuses is refused, and sent again adds the rest once", async () => {
  const logs = memoryLogs(4);
  const events = Array.from({ length: 12 }, (_, i) => follow(String(i), i));
  const refusing = partitionOf(events[0] as Event, 4);
  const broken: EventLog = {
    ...(logs[refusing] as EventLog),
    append: () => Promise.reject(new Error("gone")),
  };
  const partial = partitionedLog(logs.map((log, p) => (p === refusing ? broken : log)));
  await expect(partial.append(events, 0)).rejects.toThrow("gone");
  const whole = partitionedLog(logs);
  const results = await whole.append(events, 0);
  expect(results.map(({ duplicate }) => duplicate)).toEqual(
    events.map((event) => partitionOf(event, 4) !== refusing),
  );
  expect(logs.reduce((sum, log) => sum + log.lastSeq(), 0)).toBe(events.length);
});

test("a merged reading goes by time and keeps each partition's order, from any position on", async () => {
  const log = partitionedLog(memoryLogs(3));
  // In no order of time, as late events come.
  for (let i = 0; i < 60; i++) await log.append([follow(String(i % 11), (i * 37) % 101)], 0);
  const positions = [1, 1, 1];
  const read: string[] = [];
  for (;;) {
    const part = await log.read(positions, 7);
    if (part.length === 0) break;
    for (const { partition, event } of part) {
      expect(event.seq).toBe(positions[partition]);
      positions[partition] = event.seq + 1;
      read.push(event.event_id as string);
    }
  }
  expect(new Set(read).size).toBe(60);
  const sorted = partitionedLog(memoryLogs(3));
  for (let t = 0; t < 30; t++) await sorted.append([follow(String(t % 5), t)], 0);
  const times = (await sorted.read([1, 1, 1], 100)).map(({ event }) => event.time_ms);
  expect(times).toEqual(Array.from({ length: 30 }, (_, t) => t));
});

test("following tells what is there and what comes, and ends on abort", async () => {
  const log = partitionedLog(memoryLogs(3));
  await log.append([follow("1", 1), follow("2", 2), follow("3", 3)], 0);
  const stop = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { events } of log.follow([1, 1, 1], stop.signal))
      for (const { event_id } of events) seen.push(event_id as string);
  })();
  await expect.poll(() => seen.length).toBe(3);
  await log.append([follow("2", 4), follow("5", 5)], 0);
  await expect.poll(() => seen.length).toBe(5);
  stop.abort();
  await following;
  expect(new Set(seen).size).toBe(5);
});

test.skipIf(REDIS_MISSING)(
  "in Redis all partitions open as one, and their number stays (needs redis-server)",
  async () => {
    const server = await startRedis();
    const redis = await connectTest(server.url);
    try {
      const log = await openRedisPartitions(redis, 4);
      const results = await log.append(
        Array.from({ length: 100 }, (_, i) => follow(String(i), i)),
        0,
      );
      expect(new Set(results.map(({ partition }) => partition)).size).toBe(4);
      expect((await log.read([1, 1, 1, 1], 1000)).map(({ event }) => event.time_ms)).toEqual(
        Array.from({ length: 100 }, (_, i) => i),
      );
      await log.close();
      await expect(openRedisPartitions(redis, 8)).rejects.toMatchObject({
        code: "BAD_CONFIG",
        detail: expect.stringContaining("has 4 partitions, not 8"),
      });
      await (await openRedisPartitions(redis, 4)).close();
    } finally {
      await redis.close();
      await server.stop();
    }
  },
);
