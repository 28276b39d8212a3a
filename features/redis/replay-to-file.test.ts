import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { memoryEventLog } from "../../datasets/log/memory-event-log.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { SLOTS } from "../registry.ts";
import { smallWorld } from "../small-world.fixture.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { isMarked, markLog } from "./log-mark.ts";
import { unpackValue } from "./packed-value.ts";
import { replayToFile } from "./replay-to-file.ts";
import { readStateFile, type StateFacts, type StateFile } from "./state-file.ts";
import { contentsInMemory } from "./stored-features.fixture.ts";

const EVENTS = smallWorld(5, { impressions: 4_000, deletions: true });
const KEYS = new FeatureKeys("t:");

/** Every seventh comes late. */
const ARRIVED = [...EVENTS.filter((_, i) => i % 7 !== 0), ...EVENTS.filter((_, i) => i % 7 === 0)];

/** A log of which the first thousands are rolled, some records in another order than their times. */
async function freshLog() {
  const dir = await mkdtemp(join(tmpdir(), "roost-replay-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const log = memoryEventLog();
  await log.append(ARRIVED, 0);
  const places = { segments: join(dir, "segments"), log };
  await new SegmentRoller({ log, dir: places.segments, rowsPerSegment: 3_000 }).roll(0);
  const mark = await markLog(places, log.lastSeq());
  const begin = { prefix: KEYS.layout, log: mark, time_ms: 5, cursor: null, events: 0, vectors: 0 };
  return { dir, places, begin };
}

/** Replays on from what is at `path`, and stops after so many batches. */
async function replay(
  { dir, places, begin }: Awaited<ReturnType<typeof freshLog>>,
  batches = Number.POSITIVE_INFINITY,
): Promise<StateFile | undefined> {
  const path = join(dir, "state");
  const ended = new AbortController();
  let seen = 0;
  const resumed = await readStateFile(path);
  return replayToFile({
    places,
    keys: KEYS,
    path,
    begin,
    resumed,
    monotonicMs: () => seen,
    saveEveryMs: 2,
    signal: ended.signal,
    onProgress: () => {
      if (++seen === batches) ended.abort();
    },
  }).catch((error: unknown) => {
    if (ended.signal.aborted) return undefined;
    throw error;
  });
}

const unpacked = async (file: StateFile): Promise<MemoryState> => {
  const state = new MemoryState();
  for await (const batch of file.batches())
    for (const { key, value } of batch) {
      const entity = KEYS.entityOf(key);
      const vector = unpackValue(value, SLOTS[entity]) as Float64Array;
      state.set(entity, KEYS.keyOf(entity, key), vector);
    }
  return state;
};

test("a replay that is stopped again and again gives the bytes of one that was left alone: the state in order of arrival", async () => {
  const log = await freshLog();
  const alone = await replay(log);
  await rm(join(log.dir, "state"));
  let stops = 0;
  let file = await replay(log, 1);
  for (; file === undefined; file = await replay(log, 1)) stops++;
  expect(stops).toBeGreaterThan(3);
  expect(file.id).toBe(alone?.id);
  const state = new MemoryState();
  for (const event of ARRIVED) applyEvent(state, event);
  expect(contentsInMemory(await unpacked(file))).toEqual(contentsInMemory(state));
  expect(file.facts).toMatchObject({ events: EVENTS.length, cursor: null });
});

test("records that come after the mark are left out, also when they are rolled before a replay goes on", async () => {
  const log = await freshLog();
  const alone = await replay(log);
  await rm(join(log.dir, "state"));
  await replay(log, 2);
  await log.places.log.append(EVENTS.slice(0, 500), 1e12);
  await new SegmentRoller({ log: log.places.log, dir: log.places.segments }).roll(0, { all: true });
  expect(await isMarked(log.places, log.begin.log)).toBe(true);
  expect((await replay(log))?.id).toBe(alone?.id);
});

test("a file that is cut off or changed anywhere is none, and what a killed process left half written harms nothing", async () => {
  const log = await freshLog();
  const path = join(log.dir, "state");
  await writeFile(`${path}.partial`, "half");
  const file = (await replay(log)) as StateFile;
  expect((await readStateFile(path))?.id).toBe(file.id);
  expect((await readdir(log.dir)).sort()).toEqual(["segments", "state"]);
  const bytes = await readFile(path);
  for (const length of [0, 7, 40, bytes.length - 1]) {
    await writeFile(path, bytes.subarray(0, length));
    expect(await readStateFile(path)).toBeUndefined();
  }
  for (const at of [0, 9, 30, bytes.length >> 1, bytes.length - 5]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 4;
    await writeFile(path, changed);
    expect(await readStateFile(path)).toBeUndefined();
  }
});

test("a log that lost records, or whose segments were written anew, no longer has its mark", async () => {
  const log = await freshLog();
  const mark: StateFacts["log"] = log.begin.log;
  expect(await isMarked(log.places, mark)).toBe(true);
  const shorter = memoryEventLog();
  await shorter.append(EVENTS.slice(0, 10), 0);
  expect(await isMarked({ ...log.places, log: shorter }, mark)).toBe(false);
  expect(await isMarked(log.places, { ...mark, newest: "follow 1 " })).toBe(false);
  expect(await isMarked(log.places, { ...mark, segments: "" })).toBe(false);
});
