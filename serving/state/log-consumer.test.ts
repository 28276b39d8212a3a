import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Event, EventSchema } from "../../datasets/events.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { memoryEventLog } from "../../datasets/log/memory-event-log.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { liveIn } from "./live-state.fixture.ts";
import { BroadcastState } from "./live-state.ts";
import { LogConsumer } from "./log-consumer.ts";

let segments: string;
let log: EventLog;
const NOW_MS = 1_760_000_000_000;
beforeEach(() => {
  segments = mkdtempSync(join(tmpdir(), "roost-consumer-"));
  log = memoryEventLog();
});
afterEach(() => rmSync(segments, { recursive: true }));

const follow = (user_id: string, target_id: string, time_ms = NOW_MS): Event =>
  EventSchema.parse({ type: "follow", time_ms, user_id, target_id });
const fresh = () => liveIn(mkdtempSync(join(segments, "live-")));

test("a start catches up with everything logged, and later records follow by themselves", async () => {
  await log.append([follow("1", "2"), follow("1", "3")], NOW_MS);
  const live = fresh();
  const consumer = new LogConsumer(live, { segments, log });
  await consumer.start(() => {});
  expect(live.position).toBe(2);
  expect(live.broadcast.graph.following("1")).toEqual(new Set(["2", "3"]));
  const [appended] = await log.append([follow("1", "4")], NOW_MS);
  await consumer.applied(appended?.seq as number);
  expect(live.broadcast.graph.following("1").size).toBe(3);
  expect(live.features.get("user_author", "1|4")).toBeDefined();
  await consumer.close();
});

test("what is rolled out of the log is read from the segments", async () => {
  await log.append(
    Array.from({ length: 50 }, (_, i) => follow("1", String(10 + i), NOW_MS + i)),
    NOW_MS,
  );
  await new SegmentRoller({ log, dir: segments }).roll(NOW_MS, { all: true });
  await log.append([follow("1", "99", NOW_MS + 60)], NOW_MS);
  expect(log.firstSeq()).toBe(51);
  const live = fresh();
  const consumer = new LogConsumer(live, { segments, log });
  await consumer.start(() => {});
  expect(live.broadcast.graph.following("1").size).toBe(51);
  await consumer.close();
});

test("each part skips what it has had: parts at different positions end alike", async () => {
  const events = Array.from({ length: 30 }, (_, i) => follow("1", String(10 + i), NOW_MS + i));
  await log.append(events, NOW_MS);
  const whole = fresh();
  const first = new LogConsumer(whole, { segments, log });
  await first.start(() => {});
  await first.close();

  const broadcast = new BroadcastState();
  for (const event of events.slice(0, 12)) broadcast.apply(event);
  broadcast.position = 12;
  const behind = liveIn(mkdtempSync(join(segments, "live-")), broadcast);
  const second = new LogConsumer(behind, { segments, log });
  await second.start(() => {});
  await second.close();
  expect(behind.position).toBe(30);
  expect(broadcast.graph.snapshot()).toEqual(whole.broadcast.graph.snapshot());
  expect(behind.features.get("user", "1")).toEqual(whole.features.get("user", "1"));
});

test("a start that cannot catch up throws what kept it", async () => {
  await log.append([follow("1", "2")], NOW_MS);
  const live = fresh();
  live.features.transaction = () => Promise.reject(new Error("the disk is full"));
  const consumer = new LogConsumer(live, { segments, log });
  const told: unknown[] = [];
  await expect(consumer.start((error) => told.push(error))).rejects.toThrow("the disk is full");
  expect(told).toEqual([]);
  await consumer.close();
});

test("a failure later is told once and releases who waits", async () => {
  const live = fresh();
  const consumer = new LogConsumer(live, { segments, log });
  const told: unknown[] = [];
  await consumer.start((error) => told.push(error));
  expect(consumer.failure).toBeUndefined();
  live.features.transaction = () => Promise.reject(new Error("the disk is full"));
  const waiting = consumer.applied(1);
  await log.append([follow("1", "2")], NOW_MS);
  await waiting;
  expect(told).toEqual([new Error("the disk is full")]);
  expect(consumer.failure).toBe(told[0]);
  expect(live.position).toBe(0);
  await consumer.applied(1);
  await consumer.close();
});

test("closing ends the wait for records that never come", async () => {
  const consumer = new LogConsumer(fresh(), { segments, log });
  await consumer.start(() => {});
  const waiting = consumer.applied(1000);
  await consumer.close();
  await waiting;
});

test("listeners hear of deleted users after the state has forgotten them", async () => {
  const live = fresh();
  const heard: [string, number][] = [];
  live.onUserDeleted(({ user_id }) =>
    heard.push([user_id, live.broadcast.graph.following("1").size]),
  );
  const deleted = EventSchema.parse({ type: "user_deleted", time_ms: NOW_MS, user_id: "1" });
  await log.append([follow("1", "2"), deleted], NOW_MS);
  const consumer = new LogConsumer(live, { segments, log });
  await consumer.start(() => {});
  expect(heard).toEqual([["1", 0]]);
  await consumer.close();
});
