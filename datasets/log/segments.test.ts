import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { anyEvent } from "../events.arbitrary.ts";
import { type Event, EventSchema, type LoggedEvent } from "../events.ts";
import { random, shuffle } from "../random.ts";
import { listSegments, type SegmentInfo } from "./segment-files.ts";
import { EVENT_TYPES } from "./segment-layout.ts";
import { readSegments, type SegmentRead, SegmentWriter } from "./segments.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "roost-segments-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = async (events: readonly Event[], rowsPerSegment = 1000, into = dir) => {
  const writer = new SegmentWriter(into, { rowsPerSegment });
  await writer.appendAll(events);
  return writer.close();
};
const read = async (options: SegmentRead, from = dir): Promise<LoggedEvent[]> => {
  const events: LoggedEvent[] = [];
  for await (const batch of readSegments(from, options)) events.push(...batch);
  return events;
};
const follow = (time_ms: number, user = 1): Event => ({
  type: "follow",
  time_ms,
  user_id: String(user),
  target_id: "9",
});
const byTime = (a: LoggedEvent, b: LoggedEvent) => a.time_ms - b.time_ms || a.seq - b.seq;

test("every event of the schema comes back exactly as it was written", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent(), { minLength: 40, maxLength: 400 }), async (events) => {
      const into = await mkdtemp(path.join(dir, "run-"));
      await write(events, 150, into);
      const back = await read({ order: "seq" }, into);
      expect(back).toEqual(events.map((event, i) => ({ ...event, seq: i + 1 })));
      for (const { seq: _, ...event } of back) {
        EventSchema.parse(event);
        seen.add(event.type);
      }
    }),
    { numRuns: 12, seed: 7 },
  );
  expect([...seen].sort()).toEqual([...EVENT_TYPES].sort());
});

test("the layout knows every event type of the schema", () => {
  const types = EventSchema.options.map((option) => option.shape.type.value);
  expect([...EVENT_TYPES].sort()).toEqual([...types].sort());
});

test("ids of every magnitude keep all their digits", async () => {
  const ids = [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 10n ** 15n - 1n, 10n ** 15n, 2n ** 53n + 1n];
  ids.push(10n ** 18n, 2n ** 63n, 2n ** 64n - 2n, 2n ** 64n - 1n);
  const random64 = random(3, "ids");
  for (let i = 0; i < 3000; i++) {
    const bits = (BigInt(random64.below(2 ** 32)) << 32n) | BigInt(random64.below(2 ** 32));
    ids.push(bits >> BigInt(random64.below(64)));
  }
  await write(ids.map((id) => ({ type: "user_deleted", time_ms: 1, user_id: String(id) })));
  const back = await read({ order: "seq" });
  expect(back.map((e) => (e as { user_id: string }).user_id)).toEqual(ids.map(String));
});

test("an id that is no unsigned 64-bit decimal, a foreign type and a foreign head are refused", () => {
  const writer = new SegmentWriter(dir);
  const bad = (event: object) => expect(() => writer.append(event as Event)).toThrow(/not valid/);
  bad({ type: "user_deleted", time_ms: 1, user_id: "x1" });
  bad({ type: "user_deleted", time_ms: 1, user_id: "" });
  bad({ type: "user_deleted", time_ms: 1, user_id: "18446744073709551616" });
  bad({ type: "user_vanished", time_ms: 1, user_id: "1" });
  bad({ type: "engagement", time_ms: 1, user_id: "1", post_id: "1", head: "smirk" });
});

test("seq continues after what the directory holds, and files are named by their range", async () => {
  await write([follow(1), follow(2), follow(3)], 2);
  await write([follow(4)]);
  expect(readdirSync(dir).filter((name) => name.endsWith("parquet"))).toEqual([
    "seg-0000000000000001-0000000000000002.parquet",
    "seg-0000000000000003-0000000000000003.parquet",
    "seg-0000000000000004-0000000000000004.parquet",
  ]);
  expect((await read({ order: "seq" })).map((e) => e.seq)).toEqual([1, 2, 3, 4]);
  expect(() => new SegmentWriter(dir, { firstSeq: 9 })).toThrow(/continues at seq 5/);
});

test("time order holds across segments whose times overlap at random, ties by seq", async () => {
  const stream = random(5, "times");
  const events = Array.from({ length: 20_000 }, (_, i) => follow(stream.below(3_000), i));
  await write(events, 1500);
  const expected = events.map((e, i) => ({ ...e, seq: i + 1 }) as LoggedEvent).sort(byTime);
  expect(await read({ order: "time" })).toEqual(expected);
});

test("a nearly ordered log comes out in time order", async () => {
  const stream = random(6, "late");
  const events = Array.from({ length: 12_000 }, (_, i) =>
    follow(i * 10 + (i % 4 === 0 ? stream.below(5_000) : 0), i),
  );
  await write(events, 2500);
  expect(listSegments(dir).some((s) => s.time_ordered)).toBe(false);
  const expected = events.map((e, i) => ({ ...e, seq: i + 1 }) as LoggedEvent).sort(byTime);
  expect(await read({ order: "time" })).toEqual(expected);
});

test("a read is bounded by seq, by half-open time and by type", async () => {
  const events: Event[] = Array.from({ length: 900 }, (_, i) =>
    i % 3 === 0 ? { type: "user_deleted", time_ms: i, user_id: "1" } : follow(i),
  );
  await write(shuffle(events, random(1, "order")), 100);
  const all = await read({ order: "time" });
  const same = async (options: Omit<SegmentRead, "order">, keep: (e: LoggedEvent) => boolean) => {
    const expected = all.filter(keep);
    expect(expected.length).toBeGreaterThan(0);
    expect(await read({ order: "time", ...options })).toEqual(expected);
  };
  await same({ fromSeq: 350, toSeq: 620 }, (e) => e.seq >= 350 && e.seq <= 620);
  await same({ fromMs: 100, toMs: 200 }, (e) => e.time_ms >= 100 && e.time_ms < 200);
  await same({ types: ["user_deleted"] }, (e) => e.type === "user_deleted");
  expect(await read({ order: "time", types: ["block"] })).toEqual([]);
});

test("the same events make the same bytes", async () => {
  const events = fc.sample(anyEvent(), { numRuns: 3000, seed: 11 });
  const digest = async (into: string) =>
    (await write(events, 1000, into)).map((s) =>
      createHash("sha256").update(readFileSync(s.file)).digest("hex"),
    );
  const first = await digest(path.join(dir, "a"));
  expect(await digest(path.join(dir, "b"))).toEqual(first);
  expect(first.length).toBe(3);
});

test("segments are plain Parquet: any reader sees typed columns and NULL for what is absent", async () => {
  await write([
    { type: "impression", time_ms: 5, request_id: "r", user_id: "1", post_id: "2", position: 3 },
    { type: "muted_keywords_set", time_ms: 6, user_id: "1", keywords: ["a'b"] },
  ]);
  const database = await DuckDBInstance.create(":memory:");
  const connection = await database.connect();
  const rows = await connection.runAndReadAll(
    `SELECT seq, type, user_id, post_id, request_id, position, in_network, schema_version, payload
     FROM read_parquet('${dir}/*.parquet') ORDER BY seq`,
  );
  expect(rows.getRowsJS()).toEqual([
    [1n, "impression", 1n, 2n, "r", 3, null, 1, null],
    [2n, "muted_keywords_set", 1n, null, null, null, null, 1, '{"keywords":["a\'b"]}'],
  ]);
  database.closeSync();
});

test("a damaged, a truncated, a missing and a gap-leaving segment are refused by name", async () => {
  const fails = (pattern: RegExp) =>
    expect(read({ order: "seq" })).rejects.toMatchObject({
      code: "BAD_SEGMENT",
      message: expect.stringMatching(pattern),
    });
  await write(
    Array.from({ length: 30 }, (_, i) => follow(i)),
    10,
  );
  const [, middle] = listSegments(dir);
  const file = middle?.file as string;
  const bytes = readFileSync(file);
  const flipped = Buffer.from(bytes);
  flipped[40] = (flipped[40] as number) ^ 1;
  writeFileSync(file, flipped);
  await fails(/0000000011-.*SHA-256/);
  writeFileSync(file, bytes.subarray(0, 100));
  await fails(/100 bytes/);
  rmSync(file);
  await fails(/is missing/);
  rmSync(file.replace(/parquet$/, "json"));
  await fails(/no segment for seq 11 to 20/);
});

test("a sidecar of a newer schema is refused", async () => {
  const [info] = (await write([follow(1)])) as [SegmentInfo];
  const sidecar = info.file.replace(/parquet$/, "json");
  const json = JSON.parse(readFileSync(sidecar, "utf8"));
  writeFileSync(sidecar, JSON.stringify({ ...json, schema_version: 99 }));
  expect(() => listSegments(dir)).toThrow(/event schema 99/);
});

test("what a crash left half-written is not read, and the next writer sweeps it", async () => {
  await write([follow(1), follow(2)], 2);
  const half = path.join(dir, "seg-0000000000000003-0000000000000004.parquet");
  writeFileSync(half, "half a segment");
  writeFileSync(path.join(dir, "seg-0000000000000005-0000000000000006.parquet.tmp"), "less");
  expect((await read({ order: "seq" })).length).toBe(2);
  await write([follow(3)]);
  expect(existsSync(half)).toBe(false);
  expect(readdirSync(dir).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect((await read({ order: "seq" })).map((e) => e.seq)).toEqual([1, 2, 3]);
});

test("a failed write is told by the next append or by close, never swallowed", async () => {
  const into = path.join(dir, "gone");
  const writer = new SegmentWriter(into, { rowsPerSegment: 2 });
  rmSync(into, { recursive: true });
  writer.append(follow(1));
  writer.append(follow(2));
  await expect(writer.close()).rejects.toThrow();
});

test("a directory without segments, or that does not exist, is an empty log", async () => {
  expect(await read({ order: "time" })).toEqual([]);
  expect(await read({ order: "time" }, path.join(dir, "none"))).toEqual([]);
});

test("a reader that stops early frees its database", async () => {
  await write(
    Array.from({ length: 10_000 }, (_, i) => follow(i)),
    5000,
  );
  for (let i = 0; i < 20; i++) {
    for await (const batch of readSegments(dir, { order: "time" })) {
      expect(batch[0]?.seq).toBe(1);
      break;
    }
  }
});

test("a segment ends before it has all its rows when its texts are long", async () => {
  const posts = Array.from(
    { length: 50 },
    (_, i): Event =>
      EventSchema.parse({
        type: "post_created",
        time_ms: i,
        post_id: String(1 + i),
        author_id: "1",
        text: "x".repeat(100),
      }),
  );
  const writer = new SegmentWriter(dir, { charactersPerSegment: 1_500 });
  await writer.appendAll(posts);
  const written = await writer.close();
  expect(written.length).toBeGreaterThan(3);
  for (const { rows } of written.slice(0, -1)) expect(rows).toBeLessThan(15);
  expect((await read({ order: "seq" })).map(({ seq: _, ...event }) => event)).toEqual(posts);
});
