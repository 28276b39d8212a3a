import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../events.ts";
import type { RedisConnection } from "../storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
} from "../storage/redis-server.fixture.ts";
import { continueSegments } from "./continue-segments.ts";
import { openRedisEventLog } from "./redis-event-log.ts";
import { SegmentRoller } from "./roller.ts";

const follow = (event_id: string): Event => ({
  type: "follow",
  time_ms: 5,
  user_id: "1",
  target_id: "2",
  event_id,
});

describe.skipIf(REDIS_MISSING)("a log behind its segments (needs redis-server)", () => {
  let server: RedisServer;
  let redis: RedisConnection;
  let segments: string;
  const at = (prefix: string): RedisConnection => ({
    ...redis,
    target: { ...redis.target, prefix },
  });
  const places = () => ({ segments, partition: 0, nowMs: 9 });
  beforeAll(async () => {
    server = await startRedis();
    redis = await connectTest(server.url);
    segments = mkdtempSync(join(tmpdir(), "roost-behind-"));
    const whole = await openRedisEventLog(at("whole:"));
    await whole.append(["a", "b", "c", "d", "e", "f"].map(follow), 5);
    await new SegmentRoller({ log: whole, dir: segments }).roll(9, { all: true });
    await whole.close();
  });
  afterAll(async () => {
    rmSync(segments, { recursive: true });
    await redis.close();
    await server.stop();
  });

  test("goes on after them, and knows the ids of what it lost", async () => {
    const early = await openRedisEventLog(at("early:"));
    await early.append(["a", "b", "c"].map(follow), 5);
    await early.trim(1);
    await early.close();
    expect(await continueSegments(at("early:"), places())).toBe(3);
    const log = await openRedisEventLog(at("early:"), { startAfterSeq: 6 });
    expect([log.firstSeq(), log.lastSeq()]).toEqual([7, 6]);
    expect(await log.append(["e", "b", "g"].map(follow), 10)).toEqual([
      { seq: 5, duplicate: true },
      { seq: 2, duplicate: true },
      { seq: 7, duplicate: false },
    ]);
    await log.close();
    expect(await continueSegments(at("early:"), places())).toBe(0);
  });

  test("is refused when it holds other records than they do, and is left as it was", async () => {
    const other = await openRedisEventLog(at("other:"));
    await other.append(["a", "x", "c"].map(follow), 5);
    await expect(continueSegments(at("other:"), places())).rejects.toMatchObject({
      code: "BAD_STORE",
      message: expect.stringContaining("differ at seq 2"),
    });
    expect(await other.read({ fromSeq: 1, limit: 9 })).toHaveLength(3);
    await other.close();
  });

  test("that is empty is not touched", async () => {
    expect(await continueSegments(at("empty:"), places())).toBe(0);
  });
});
