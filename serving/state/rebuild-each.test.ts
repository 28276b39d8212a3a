import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { serialize } from "node:v8";
import hnswlib from "hnswlib-node";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { positionKeys, timelineKeys } from "../../candidates/timelines/redis-timelines.ts";
import { readIndex, vectorsFile } from "../../candidates/vector-index/index-files.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { scanKeys } from "../../datasets/storage/redis-scan.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
} from "../../datasets/storage/redis-server.fixture.ts";
import { unlinkKeys } from "../../datasets/storage/redis-unlink.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { tinyTowers } from "../inference/tiny-towers.fixture.ts";
import { PostVectors } from "./post-vectors.ts";
import {
  countsOf,
  featuresOf,
  type Running,
  running,
  type SmallSpace,
  smallLog,
  smallSpace,
  timelinesOf,
} from "./small-space.fixture.ts";
import { readSnapshot, writeSnapshot } from "./snapshot.ts";

/** A state that the log gives again. */
interface Consumer {
  /** Files of the data directory, tables of the LMDB environment `state` and keys on Redis that are this one's alone. */
  readonly files?: RegExp;
  readonly tables?: RegExp;
  readonly keys?: (prefix: string) => string;
  /** What it holds, of a running server, or of what one left. */
  readonly running?: (space: Running) => unknown;
  readonly left?: (space: SmallSpace) => Promise<unknown>;
  /** Whether post vectors are looked at behind it too: they are read from it, and their worker takes its time to start. */
  readonly vectors?: boolean;
  /** Other than by removing files, tables and keys. */
  readonly throwAway?: (space: SmallSpace) => Promise<void>;
}

const PREFIX = "t:";
const SNAPSHOT_PARTS = ["posts", "popular", "graph", "history", "pulled", "activity"] as const;
const partOfSnapshot = (part: (typeof SNAPSHOT_PARTS)[number]): Consumer => ({
  running: ({ live }) => structuredClone(live.broadcast[part].snapshot()),
  throwAway: async ({ path }) => {
    const file = join(path, "broadcast.snapshot");
    const { position, states } = (await readSnapshot(file)) as NonNullable<
      Awaited<ReturnType<typeof readSnapshot>>
    >;
    const { [part]: _, ...others } = states;
    await writeSnapshot(file, { position, states: others });
  },
});

/** Every consumer by name. A state that none of them owns fails the test below. */
const CONSUMERS: Readonly<Record<string, Consumer>> = {
  "broadcast snapshot": { files: /^broadcast\.snapshot$/, vectors: true },
  "post store": partOfSnapshot("posts"),
  "popular posts": partOfSnapshot("popular"),
  "social graph": partOfSnapshot("graph"),
  "viewers' history": partOfSnapshot("history"),
  "pulled authors": partOfSnapshot("pulled"),
  "readers' activity": partOfSnapshot("activity"),
  "feature state": {
    tables: /^features\//,
    keys: (prefix) => new FeatureKeys(prefix).every,
    running: featuresOf,
    vectors: true,
  },
  "engagement counts": { tables: /^counts\//, running: countsOf },
  "stored timelines": { keys: timelineKeys, running: timelinesOf },
  "position of fan-out": {
    keys: positionKeys,
    running: async ({ fanOut, settled }) => {
      await settled();
      return fanOut?.position.seq;
    },
  },
  "post vectors and their index": { files: /^vectors\//, left: vectorsOf, vectors: true },
  "segments of what the log still holds": {
    files: /^segments\//,
    left: async ({ path }) => segmentsOf(path),
    throwAway: async ({ path }) => {
      const last = Object.keys(segmentsOf(path)).slice(-2);
      expect(last).toHaveLength(2);
      for (const name of last) rmSync(join(path, "segments", name));
    },
  },
};

/** What the log is made of, and what belongs to processes: nothing builds them again. */
const NOT_DERIVED_FILES = /^(log\/|on-redis\.json$|state\/(data|lock)\.mdb$)/;
const NOT_DERIVED_KEYS = /^\{p0\}(log|seq|id:.*|lease:.*|fence:.*)$/;

function segmentsOf(path: string): Record<string, string> {
  const dir = join(path, "segments");
  return Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name)).toString("base64")]),
  );
}

async function vectorsOf({ path }: SmallSpace): Promise<Record<string, readonly number[]>> {
  const dir = join(path, "vectors");
  const { manifest, labels } = await readIndex(dir);
  expect(manifest.kind).toBe("hnsw");
  const graph = new hnswlib.HierarchicalNSW("ip", manifest.dimension);
  graph.readIndexSync(vectorsFile(dir));
  const found = Array.from(labels, ([id, label]) => [id, graph.getPoint(label)] as const);
  return Object.fromEntries(found.sort());
}

/** A log that keeps what was rolled, as one does whose server died before the trim. */
const untrimmed = (log: EventLog): EventLog => ({
  append: (events, nowMs) => log.append(events, nowMs),
  read: (range) => log.read(range),
  firstSeq: () => log.firstSeq(),
  lastSeq: () => log.lastSeq(),
  waitFor: (seq, signal) => log.waitFor(seq, signal),
  trim: async () => {},
  close: () => log.close(),
});

const TOWERS = tinyTowers(3);
const QUIET = pino({ level: "silent" });

/** Does what a server does beside following the log: makes vectors and rolls. */
async function withUpkeep<T>(
  space: SmallSpace,
  makesVectors: boolean,
  use: (server: Running) => Promise<T>,
): Promise<T> {
  return running(space, async (server) => {
    const { live, source, dir, log } = server;
    const { posts } = live.broadcast;
    const vectors = new PostVectors({
      posts,
      features: source,
      dir: dir.at("vectors"),
      nowMs: () => posts.newestMs,
      session: { inlineParameters: 1 },
      logger: QUIET,
    });
    live.onApplied((events) => vectors.apply(events));
    try {
      if (makesVectors) await vectors.replace(TOWERS);
      const used = await use(server);
      await vectors.settled();
      await new SegmentRoller({ log: untrimmed(log), dir: dir.segments }).roll(0, { all: true });
      return used;
    } finally {
      await vectors.close();
    }
  });
}

/** Starts a server on the space, stops it, and tells what every consumer holds. */
async function told(space: SmallSpace, makesVectors = false): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  await withUpkeep(space, makesVectors, async (server) => {
    // Reading timelines is a visit: activity is looked at behind it.
    found["stored timelines"] = await timelinesOf(server);
    for (const [name, { running: read }] of Object.entries(CONSUMERS))
      if (read !== undefined) found[name] ??= await read(server);
  });
  for (const [name, { left }] of Object.entries(CONSUMERS))
    if (left !== undefined) found[name] = await left(space);
  return found;
}

async function thrownAway(
  { files, tables, keys, throwAway }: Consumer,
  space: SmallSpace,
): Promise<void> {
  const { path, redis } = space;
  await throwAway?.(space);
  if (throwAway !== undefined) return;
  if (files !== undefined)
    for (const file of filesOf(path)) if (files.test(file)) rmSync(join(path, file));
  if (tables !== undefined && tablesOf(path).some((name) => tables.test(name))) {
    const root = openLmdb(join(path, "state"));
    for (const name of tablesOf(path))
      if (tables.test(name)) await root.openDB({ name, encoding: "binary" }).clearAsync();
    await root.close();
  }
  if (keys !== undefined && redis !== undefined)
    await unlinkKeys(redis.client, await scanKeys(redis.client, keys(PREFIX)));
}

const filesOf = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)));

function tablesOf(path: string): string[] {
  if (!existsSync(join(path, "state"))) return [];
  const root = openLmdb(join(path, "state"));
  const names = [...root.getKeys()].map(String);
  void root.close();
  return names;
}

const log = smallLog(29);
const HALF = Math.floor(0.6 * log.length);
let server: RedisServer | undefined;
let redis: RedisConnection | undefined;
beforeAll(async () => {
  if (REDIS_MISSING !== undefined) return;
  server = await startRedis();
  redis = await connectTest(server.url, PREFIX);
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

describe.each([
  ["embedded", (): RedisConnection | undefined => undefined, undefined],
  ["on Redis (needs redis-server)", (): RedisConnection | undefined => redis, REDIS_MISSING],
] as const)("%s", (_, redisOf, missing) => {
  let space: SmallSpace;
  let before: Record<string, unknown>;

  beforeAll(async () => {
    if (missing !== undefined) return;
    space = await smallSpace(log.slice(0, HALF), redisOf());
    await withUpkeep(space, true, (server) => server.append(log.slice(HALF)));
    // A vector is as of the moment when it was made: all of one moment, so that they can be compared.
    rmSync(join(space.path, "vectors"), { recursive: true });
    before = await told(space, true);
  });

  test.skipIf(missing)("the world leaves something in every state", () => {
    const empty = serialize(new Map()).length;
    for (const [name, { running, left }] of Object.entries(CONSUMERS)) {
      if (running === undefined && left === undefined) continue;
      if (name === "position of fan-out") {
        expect(before[name]).toBe(space.redis === undefined ? undefined : log.length);
        continue;
      }
      expect(serialize(before[name]).length, name).toBeGreaterThan(empty + 20);
    }
  });

  test.skipIf(missing)("every file, table and key is the log's or one consumer's", async () => {
    const { path, redis } = space;
    const all = Object.values(CONSUMERS);
    const strange = filesOf(path).filter(
      (file) => !NOT_DERIVED_FILES.test(file) && !all.some(({ files }) => files?.test(file)),
    );
    expect(strange).toEqual([]);
    expect(tablesOf(path).filter((name) => !all.some(({ tables }) => tables?.test(name)))).toEqual(
      [],
    );
    const states = await readSnapshot(join(path, "broadcast.snapshot"));
    expect(Object.keys(states?.states ?? {}).sort()).toEqual([...SNAPSHOT_PARTS].sort());
    if (redis === undefined) return;
    const keys = [...(await scanKeys(redis.client, PREFIX))].filter(
      (key) =>
        !NOT_DERIVED_KEYS.test(key.slice(PREFIX.length)) &&
        key !== new FeatureKeys(PREFIX).served &&
        !all.some(({ keys }) => keys !== undefined && key.startsWith(keys(PREFIX))),
    );
    expect(keys).toEqual([]);
  });

  test.skipIf(missing).each(Object.entries(CONSUMERS))(
    "%s, thrown away alone, is what it was after the next start, and so is all else",
    async (_, consumer) => {
      await thrownAway(consumer, space);
      const after = await told(space, consumer.vectors);
      for (const name of Object.keys(before)) expect.soft(after[name], name).toEqual(before[name]);
    },
  );
});
