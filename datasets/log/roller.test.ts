import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Event } from "../events.ts";
import type { EventLog } from "./event-log.ts";
import { openLmdbEventLog } from "./lmdb-event-log.ts";
import { readLog } from "./reader.ts";
import { SegmentRoller } from "./roller.ts";
import { listSegments } from "./segment-files.ts";

let dir: string;
let segments: string;
let log: EventLog;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-roller-"));
  segments = path.join(dir, "segments");
  log = openLmdbEventLog(path.join(dir, "log"));
});
afterEach(async () => {
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

const follows = (n: number): Event[] =>
  Array.from({ length: n }, (_, i) => ({
    type: "follow",
    time_ms: i,
    user_id: "1",
    target_id: "2",
  }));
const ranges = (): number[][] => listSegments(segments).map((s) => [s.first_seq, s.last_seq]);

test("full segments are rolled at once, the rest after its age, and the log is trimmed to match", async () => {
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 10, maxAgeMs: 1000 });
  expect(await roller.roll(0)).toEqual([]);
  await log.append(follows(25), 0);
  await roller.roll(100);
  expect(ranges()).toEqual([
    [1, 10],
    [11, 20],
  ]);
  expect(log.firstSeq()).toBe(21);
  await roller.roll(200);
  expect(ranges().length).toBe(2);
  await roller.roll(1199);
  expect(ranges().length).toBe(2);
  await roller.roll(1200);
  expect(ranges().at(-1)).toEqual([21, 25]);
  expect([log.firstSeq(), log.lastSeq()]).toEqual([26, 25]);
  await log.append(follows(3), 0);
  expect((await roller.roll(1300, { all: true })).map((s) => s.rows)).toEqual([3]);
});

test("rolls called at the same time run one after the other", async () => {
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 5 });
  await log.append(follows(42), 0);
  const rolled = await Promise.all([0, 1, 2].map((now) => roller.roll(now, { all: true })));
  expect(rolled.map((list) => list.length)).toEqual([9, 0, 0]);
  expect(ranges().at(-1)).toEqual([41, 42]);
});

test("a crash before the rename leaves a partial file: it is swept and the events are rolled again", async () => {
  await log.append(follows(10), 0);
  mkdirSync(segments);
  writeFileSync(path.join(segments, "seg-0000000000000001-0000000000000010.parquet.tmp"), "half");
  writeFileSync(path.join(segments, "seg-0000000000000001-0000000000000010.parquet"), "half");
  await new SegmentRoller({ log, dir: segments, rowsPerSegment: 10 }).roll(0);
  expect(ranges()).toEqual([[1, 10]]);
  expect(readdirSync(segments).length).toBe(2);
});

test("a crash between rename and trim doubles nothing: the next roll trims", async () => {
  const crashed = openLmdbEventLog(path.join(dir, "crashed"));
  await crashed.append(follows(20), 0);
  // The log as it was before the trim, beside the segments as they were after the rename.
  await log.append(follows(20), 0);
  await new SegmentRoller({ log, dir: segments, rowsPerSegment: 20 }).roll(0);
  const seqs: number[] = [];
  for await (const batch of readLog({ segments, log: crashed }, { order: "seq" }))
    seqs.push(...batch.map((e) => e.seq));
  expect(seqs).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  await crashed.append(follows(1), 0);
  const roller = new SegmentRoller({ log: crashed, dir: segments, rowsPerSegment: 20 });
  expect(await roller.roll(0)).toEqual([]);
  expect(crashed.firstSeq()).toBe(21);
  expect((await roller.roll(0, { all: true })).map((s) => s.first_seq)).toEqual([21]);
  await crashed.close();
});

test("segments that end before the log begins stop the roller instead of hiding a gap", async () => {
  await log.append(follows(10), 0);
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 5 });
  await roller.roll(0);
  await log.append(follows(5), 0);
  const copy = path.join(dir, "old-copy");
  mkdirSync(copy);
  for (const name of readdirSync(segments).filter((n) => n.includes("-0000000000000005.")))
    copyFileSync(path.join(segments, name), path.join(copy, name));
  await expect(
    new SegmentRoller({ log, dir: copy, rowsPerSegment: 5 }).roll(0),
  ).rejects.toMatchObject({ code: "BAD_SEGMENT" });
});

test("a failed roll keeps the log and the next one succeeds", async () => {
  await log.append(follows(10), 0);
  writeFileSync(segments, "a file where the directory should be");
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 5 });
  await expect(roller.roll(0)).rejects.toThrow();
  expect(log.firstSeq()).toBe(1);
  await rm(segments);
  await roller.roll(0);
  expect(existsSync(segments)).toBe(true);
  expect(ranges().length).toBe(2);
});
