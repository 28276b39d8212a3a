import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { simulate } from "../../datasets/commands/simulate.ts";
import { heldOutDir } from "../../datasets/dataset.ts";
import type { Event } from "../../datasets/events.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { openRedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import { readSegments, SegmentWriter } from "../../datasets/log/segments.ts";
import { type DataDir, openDataDir } from "../../datasets/storage/data-dir.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import {
  connectTest,
  REDIS_MISSING,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../../datasets/storage/redis-server.fixture.ts";
import { applyEvent } from "../engine.ts";
import { MemoryState } from "../memory-store.ts";
import { FeatureKeys } from "./feature-keys.ts";
import { holdLayout, SERVER_LEASE } from "./layout-lease.ts";
import { type Materialized, materialize, type Step } from "./materialize.ts";
import { RedisFeatureStore } from "./redis-store.ts";
import { STATE_FILE } from "./state-file.ts";
import { contentsInMemory, contentsOf } from "./stored-features.fixture.ts";
import { storedState } from "./stored-state.ts";

const CHILD = join(import.meta.dirname, "materialize.crash.ts");
const LEASE_TTL_MS = 400;
const LATE_TOKEN = 1_000_000;

let made: string;
/** Events of the last day, which segments do not hold yet. */
const lastDay: Event[] = [];
let redis: RedisServer | undefined;
beforeAll(async () => {
  if (REDIS_MISSING !== undefined) return;
  made = await mkdtemp(join(tmpdir(), "roost-materialize-"));
  await simulate({ preset: "tiny", seed: 3, outDir: made });
  for await (const batch of readSegments(heldOutDir(made), { order: "seq" }))
    for (const { seq: _, ...event } of batch) lastDay.push(event as Event);
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
  if (made !== undefined) await rm(made, { recursive: true, force: true });
});

interface Space {
  readonly url: string;
  readonly prefix: string;
  readonly connection: RedisConnection;
  readonly dir: DataDir;
  readonly log: EventLog;
  /** Takes the next events of the last day. */
  append(events: number): Promise<void>;
}

let spaces = 0;
let space: Space;

/** 7,000 events in segments, or the days of the tiny world before, and 2,000 further ones in the log on Redis. */
async function freshSpace(url: string, world = false): Promise<Space> {
  const path = await mkdtemp(join(tmpdir(), "roost-materialize-space-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const segments = join(path, "segments");
  let taken = world ? 0 : 7_000;
  if (world) await cp(join(made, "segments"), segments, { recursive: true });
  else {
    const writer = new SegmentWriter(segments, { rowsPerSegment: 4_000 });
    await writer.appendAll(lastDay.slice(0, taken));
    await writer.close();
  }
  const prefix = `m${++spaces}:`;
  const connection = await connectTest(url, prefix);
  onTestFinished(() => connection.close());
  const dir = openDataDir(path, "read");
  const startAfterSeq = listSegments(dir.segments).at(-1)?.last_seq as number;
  const log = await openRedisEventLog(connection, { startAfterSeq });
  onTestFinished(() => log.close());
  const append = async (events: number): Promise<void> => {
    expect(taken + events).toBeLessThanOrEqual(lastDay.length);
    for (const end = taken + events; taken < end; taken = Math.min(end, taken + 500))
      await log.append(lastDay.slice(taken, Math.min(end, taken + 500)), 0);
  };
  await append(2_000);
  return { url, prefix, connection, dir, log, append };
}
beforeEach(async () => {
  if (redis !== undefined) space = await freshSpace(redis.url);
});

const run = (
  { connection, dir }: Space,
  onProgress: (step: Step, done: number, of: number) => void = () => {},
  options: { signal?: AbortSignal; layout?: string; saveEveryMs?: number } = {},
): Promise<Materialized> =>
  materialize({
    connection,
    dir,
    owner: `run ${Math.random()}`,
    wallMs: () => 1_000,
    monotonicMs: () => performance.now(),
    signal: new AbortController().signal,
    onProgress,
    leaseTtlMs: LEASE_TTL_MS,
    ...options,
  });

/** What a server builds. */
async function replayed({ dir, log }: Space): Promise<MemoryState> {
  const state = new MemoryState();
  const places = { segments: dir.segments, log };
  for await (const batch of readLog(places, { order: "seq" }))
    for (const event of batch) applyEvent(state, event);
  return state;
}

test.skipIf(REDIS_MISSING)(
  "what is built is what a replay of segments and log gives, to the bit, and a second run finds it (needs redis-server)",
  async () => {
    const space = await freshSpace((redis as RedisServer).url, true);
    const shares = new Map<Step, number>();
    const report = await run(space, (step, done, of) => void shares.set(step, done / of));
    const end = space.log.lastSeq();
    expect(report).toMatchObject({ position: end, resumed: null, events_replayed: end });
    expect(shares).toEqual(
      new Map([
        ["replay", 1],
        ["write", 1],
      ]),
    );
    expect(await readdir(space.dir.path)).toEqual(["segments"]);
    await space.append(900);
    expect(await run(space)).toMatchObject({
      position: end + 900,
      resumed: "catch_up",
      events_replayed: 0,
      vectors_written: 0,
      events_caught_up: 900,
    });
    expect(await contentsOf(space.connection, LATE_TOKEN)).toEqual(
      contentsInMemory(await replayed(space)),
    );
  },
);

/** Runs a child until it kills itself, or to its end: what it told first, and its report. */
async function child(
  step: Step | "none",
  nth: number,
): Promise<{ begun: string; report: unknown }> {
  const { url, prefix, dir } = space;
  const running = spawn(
    process.execPath,
    ["--import", "tsx", CHILD, `${url}?prefix=${prefix}`, dir.path, step, String(nth)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let told = "";
  running.stdout?.on("data", (chunk) => {
    told += chunk;
  });
  await once(running, "close");
  const [begun = "", report] = told.split("\n");
  if (step !== "none") expect(running.signalCode).toBe("SIGKILL");
  return { begun, report: report && JSON.parse(report) };
}

test.skipIf(REDIS_MISSING)(
  "killed in the middle of every step it goes on where it stood, and leaves the same to the bit (needs redis-server)",
  async () => {
    const end = space.log.lastSeq();
    const keys = new FeatureKeys(space.prefix);
    expect((await child("replay", 4)).begun).toBe("replay 2048");
    await space.append(2_200);
    // Rolled meanwhile, by the server that goes on beside it.
    const { log, dir } = space;
    await new SegmentRoller({ log, dir: dir.segments, rowsPerSegment: 1_000 }).roll(0);
    const second = await child("write", 1);
    expect(Number(/^replay (\d+)$/.exec(second.begun)?.[1])).toBeGreaterThan(2048);
    expect((await storedState(space.connection, keys)).position).toBe(0);
    const third = await child("catch_up", 1);
    expect(Number(/^write (\d+)$/.exec(third.begun)?.[1])).toBeGreaterThan(4_000);
    const { position } = await storedState(space.connection, keys);
    expect(position).toBeGreaterThan(end);
    expect(position).toBeLessThan(end + 2_200);
    const { begun, report } = await child("none", 0);
    expect(begun).toMatch(/^catch_up/);
    expect(report).toMatchObject({
      position: end + 2_200,
      resumed: "catch_up",
      events_caught_up: end + 2_200 - position,
    });
    expect(await readdir(space.dir.path)).toEqual(["segments"]);
    expect(await contentsOf(space.connection, LATE_TOKEN)).toEqual(
      contentsInMemory(await replayed(space)),
    );
  },
);

test.skipIf(REDIS_MISSING)(
  "on a Cluster it runs beside a server that logs, rolls and writes an earlier layout, and neither disturbs the other (needs redis-server)",
  async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const space = await freshSpace(cluster.url);
    const { connection, log, dir } = space;
    const layout = "0123456789abcdef";
    const start = log.lastSeq();
    const lease = await holdLayout(connection, {
      owner: "old",
      layout,
      monotonicMs: () => performance.now(),
      onLost: (error) => expect.unreachable(error.message),
    });
    const old = await RedisFeatureStore.open({
      connection,
      token: lease.token,
      now: () => 1,
      layout,
    });
    const roller = new SegmentRoller({ log, dir: dir.segments, rowsPerSegment: 700 });
    let ends = false;
    const serving = (async () => {
      while (log.lastSeq() < start + (ends ? 1_000 : 2_000)) {
        const from = log.lastSeq() + 1;
        await space.append(100);
        const events = await log.read({ fromSeq: from, limit: 100 });
        await old.transaction(log.lastSeq(), (state) => {
          for (const event of events) applyEvent(state, event);
        });
        await roller.roll(0);
      }
    })();
    const report = await run(space, undefined, { saveEveryMs: 0 });
    ends = true;
    await serving;
    const caughtUp = await run(space);
    await lease.release();
    expect(caughtUp.position).toBe(log.lastSeq());
    expect(listSegments(dir.segments).length).toBeGreaterThan(2);
    const upTo = report.position - report.events_caught_up;
    expect(upTo).toBeLessThan(caughtUp.position);
    expect(await contentsOf(connection, LATE_TOKEN)).toEqual(
      contentsInMemory(await replayed(space)),
    );
    expect(old.position).toBe(log.lastSeq());
    const keys = new FeatureKeys(space.prefix, layout);
    expect(await storedState(connection, keys)).toEqual({
      token: lease.token,
      position: log.lastSeq(),
    });
  },
);

test.skipIf(REDIS_MISSING)(
  "who comes second is refused and told who writes the layout (needs redis-server)",
  async () => {
    const { connection, log } = space;
    const server = redisLeases(connection, { owner: "server", ttlMs: 60_000 });
    await server.acquire(SERVER_LEASE, 0);
    const hold = (owner: string) =>
      holdLayout(connection, {
        owner,
        // Kept up also by a machine that is busy.
        ttlMs: 3_000,
        monotonicMs: () => performance.now(),
        onLost: () => {},
      });
    const first = await hold("first");
    await expect(run(space)).rejects.toMatchObject({
      code: "FENCED",
      detail: expect.stringContaining("another process builds this layout now"),
    });
    await first.release();
    const { position } = await run(space);
    const served = await hold("server");
    await expect(run(space)).rejects.toMatchObject({
      code: "FENCED",
      detail: expect.stringContaining(
        `a server writes this layout already, at position ${position}: nothing to materialise`,
      ),
    });
    expect(position).toBe(log.lastSeq());
    await served.release();
    // Whoever takes it over, and whatever became of the count: tokens of a layout grow.
    const counts = await connection.client.keys(`${space.prefix}*fence:features:*`);
    expect(await connection.client.del(...counts)).toBe(1);
    const { token } = await storedState(connection, new FeatureKeys(space.prefix));
    expect((await hold("next")).token).toBe(token + 1);
  },
);

test.skipIf(REDIS_MISSING)(
  "state that does not fit is not gone on with: half of a layout, a damaged file, another log (needs redis-server)",
  async () => {
    const { connection, dir, log } = space;
    const cut = async (step: Step, nth: number): Promise<void> => {
      const ended = new AbortController();
      let seen = 0;
      const stop = (at: Step): void => {
        if (at === step && ++seen === nth) ended.abort(new Error("stopped"));
      };
      await expect(run(space, stop, { signal: ended.signal })).rejects.toThrow("stopped");
    };
    await cut("write", 1);
    // As a server opens it: it does not know the file.
    const server = await RedisFeatureStore.open({ connection, token: LATE_TOKEN, now: () => 1 });
    expect(server.position).toBe(0);
    expect(await connection.client.keys(`${space.prefix}f:*`)).toHaveLength(1);
    expect(await run(space)).toMatchObject({ resumed: "write", position: log.lastSeq() });

    await (
      await RedisFeatureStore.open({ connection, token: 2 * LATE_TOKEN, now: () => 1 })
    ).drop();
    await cut("replay", 3);
    await truncate(dir.at(STATE_FILE), 5_000);
    await cut("replay", 3);
    expect((await readdir(dir.path)).sort()).toEqual([STATE_FILE, "segments"]);
    // Redis forgot what was not rolled, and other events took those places.
    const { client } = connection;
    await client.del(`${space.prefix}{p0}log`, `${space.prefix}{p0}seq`);
    await rm(join(dir.path, "segments"), { recursive: true });
    await log.close();
    const after = await openRedisEventLog(connection);
    onTestFinished(() => after.close());
    await after.append(lastDay.slice(0, 1_000), 1e9);
    const report = await run(space);
    expect(report).toMatchObject({ resumed: null, events_replayed: 1_000, position: 1_000 });
    expect(await contentsOf(connection, 3 * LATE_TOKEN)).toEqual(
      contentsInMemory(await replayed({ ...space, log: after })),
    );
  },
);
