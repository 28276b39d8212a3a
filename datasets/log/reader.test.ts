import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { random } from "../random.ts";
import type { EventLog } from "./event-log.ts";
import { openLmdbEventLog } from "./lmdb-event-log.ts";
import { followLog, readLog } from "./reader.ts";
import { SegmentRoller } from "./roller.ts";
import type { SegmentRead } from "./segments.ts";

let dir: string;
let segments: string;
let log: EventLog;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-reader-"));
  segments = path.join(dir, "segments");
  log = openLmdbEventLog(path.join(dir, "log"));
});
afterEach(async () => {
  await log.close();
  await rm(dir, { recursive: true, force: true });
});

const follow = (time_ms: number): Event => ({
  type: "follow",
  time_ms,
  user_id: "1",
  target_id: "2",
});
const all = async (read: SegmentRead): Promise<LoggedEvent[]> => {
  const events: LoggedEvent[] = [];
  for await (const batch of readLog({ segments, log }, read)) events.push(...batch);
  return events;
};
const byTime = (a: LoggedEvent, b: LoggedEvent) => a.time_ms - b.time_ms || a.seq - b.seq;

test("segments and tail come as one stream in time order, late events of the tail included", async () => {
  const times = random(1, "times");
  const events = Array.from({ length: 9000 }, () => follow(times.below(2000)));
  await log.append(events, 0);
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 2500 });
  expect((await roller.roll(0)).length).toBe(3);
  expect([log.firstSeq(), log.lastSeq()]).toEqual([7501, 9000]);

  const expected = events.map((e, i) => ({ ...e, seq: i + 1 }) as LoggedEvent).sort(byTime);
  expect(await all({ order: "time" })).toEqual(expected);
  const part = { fromSeq: 4000, toSeq: 8800, fromMs: 300, toMs: 900 };
  expect(await all({ order: "time", ...part })).toEqual(
    expected.filter((e) => e.seq >= 4000 && e.seq <= 8800 && e.time_ms >= 300 && e.time_ms < 900),
  );
  expect((await all({ order: "seq" })).map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
  expect(await all({ order: "time", types: ["block"] })).toEqual([]);
});

test("reads that race appends and rolls see no gap and no double at the seam", async () => {
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 40 });
  let writing = true;
  let acknowledged = 0;
  const writer = (async () => {
    for (let i = 0; i < 120; i++) {
      const results = await log.append(
        Array.from({ length: 10 }, (_, k) => follow(i * 10 + k - (k % 3) * 25 + 100)),
        i,
      );
      acknowledged = results.at(-1)?.seq ?? 0;
    }
    writing = false;
  })();
  const rolling = (async () => {
    while (writing) {
      await roller.roll(0, { all: acknowledged % 3 === 0 });
      await setImmediate();
    }
  })();
  let reads = 0;
  let crossed = 0;
  while (writing) {
    const before = acknowledged;
    const order = reads % 2 === 0 ? "seq" : "time";
    const events = await all({ order });
    if (order === "time") expect(events).toEqual([...events].sort(byTime));
    const seqs = events.map((e) => e.seq).sort((a, b) => a - b);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(seqs.length).toBeGreaterThanOrEqual(before);
    if (log.firstSeq() > 1 && log.lastSeq() >= log.firstSeq()) crossed++;
    reads++;
    // An LMDB read takes no turn of the event loop by itself.
    await setImmediate();
  }
  await Promise.all([writer, rolling]);
  expect(reads).toBeGreaterThan(3);
  expect(crossed).toBeGreaterThan(0);
  expect((await all({ order: "seq" })).length).toBe(1200);
});

test("following from the beginning goes over rolled events into live ones and ends on abort", async () => {
  await log.append(
    Array.from({ length: 100 }, (_, i) => follow(i)),
    0,
  );
  const roller = new SegmentRoller({ log, dir: segments, rowsPerSegment: 60 });
  await roller.roll(0);
  const abort = new AbortController();
  const seen: number[] = [];
  const following = (async () => {
    for await (const batch of followLog({ segments, log }, 1, abort.signal))
      for (const event of batch) seen.push(event.seq);
  })();
  for (let i = 0; i < 30; i++) {
    await log.append([follow(i), follow(i)], 0);
    await roller.roll(0, { all: i % 4 === 0 });
  }
  while (seen.length < 160) await setImmediate();
  abort.abort();
  await following;
  expect(seen).toEqual(Array.from({ length: 160 }, (_, i) => i + 1));
});

test("following from the middle starts there", async () => {
  await log.append(
    Array.from({ length: 50 }, (_, i) => follow(i)),
    0,
  );
  const abort = new AbortController();
  for await (const batch of followLog({ segments, log }, 31, abort.signal)) {
    expect(batch.map((e) => e.seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 31));
    abort.abort();
  }
});

test("events that are neither in a segment nor in the log are missed loudly", async () => {
  await log.append([follow(1), follow(2)], 0);
  await log.trim(1);
  await expect(all({ order: "time" })).rejects.toThrow(/ends at seq 0, but the log begins at 2/);
});

test("following goes on when the log did not answer for a while", async () => {
  await log.append([follow(1), follow(2)], 0);
  let refusals = 2;
  const away: EventLog = {
    append: (events, nowMs) => log.append(events, nowMs),
    read: async (range) => {
      if (refusals-- > 0) throw new RoostError("REDIS_UNAVAILABLE", "away");
      return log.read(range);
    },
    firstSeq: () => log.firstSeq(),
    lastSeq: () => log.lastSeq(),
    waitFor: (seq, signal) => log.waitFor(seq, signal),
    trim: (throughSeq) => log.trim(throughSeq),
    close: () => log.close(),
  };
  const stop = new AbortController();
  const seen: number[] = [];
  for await (const batch of followLog({ segments, log: away }, 1, stop.signal)) {
    seen.push(...batch.map(({ seq }) => seq));
    stop.abort();
  }
  expect(seen).toEqual([1, 2]);
});
