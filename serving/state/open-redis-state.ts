import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { FAN_OUT, FanOut } from "../../candidates/timelines/fan-out.ts";
import { FanOutLoad } from "../../candidates/timelines/fan-out-load.ts";
import { RedisTimelines } from "../../candidates/timelines/redis-timelines.ts";
import { TimelineReader } from "../../candidates/timelines/timeline-reader.ts";
import { continueSegments } from "../../datasets/log/continue-segments.ts";
import { type KeptLease, keepLease } from "../../datasets/log/kept-lease.ts";
import type { Leases } from "../../datasets/log/leases.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { openRedisEventLog, type RedisEventLog } from "../../datasets/log/redis-event-log.ts";
import { redisLeases } from "../../datasets/log/redis-leases.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import type { RedisConnection } from "../../datasets/storage/redis.ts";
import { RoostError } from "../../errors.ts";
import { FeatureKeys } from "../../features/redis/feature-keys.ts";
import { measureUsage } from "../../features/redis/feature-usage.ts";
import { holdLayout, SERVER_LEASE } from "../../features/redis/layout-lease.ts";
import { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { removeOtherLayouts } from "../../features/redis/removal.ts";
import { watchUsage } from "../../features/redis/usage-watch.ts";
import { LAYOUT_HASH } from "../../features/registry.ts";
import { closeInTurn } from "../close-in-turn.ts";
import { finishErasure } from "../erasure/finish-erasure.ts";
import type { ReadTimeline } from "../following-timeline.ts";
import type { FeatureSource } from "../hydrators/features.ts";
import { BroadcastState, LiveState } from "./live-state.ts";
import { checkpointer, type OpenState, snapshotPath } from "./open-state.ts";
import { PostCounts } from "./post-counts.ts";
import { rebuild } from "./rebuild.ts";
import { noteRedis } from "./redis-note.ts";

export interface RedisStateOptions {
  readonly connection: RedisConnection;
  /** Tells this process from every other. */
  readonly owner: string;
  /** The machine's clock, epoch ms: what the age of fetched copies is told by. */
  readonly wallMs: () => number;
  /** Told why state is built anew, or what an acknowledgement is not worth. */
  readonly onNotice: (reason: string) => void;
  /** Told when the lease on the feature state is lost, or Redis has lost what is kept there: this process must end. */
  readonly onLost: (error: RoostError) => void;
  /** Records that may wait to be rolled into segments. */
  readonly maxLength?: number;
  /** How long a dead process keeps others from the feature state. */
  readonly leaseTtlMs?: number;
  /** Replicas that must have a copy of an event before it is acknowledged; 0: one while any is connected. */
  readonly replicas?: number;
}

export const LOG_PARTITION = 0;
/** Rolled at least hourly; so many unrolled ones are a stuck roller and half a gigabyte. */
const MOST_UNROLLED = 2_000_000;
/** Time that deliveries get when a server ends. */
const MOST_SETTLING_MS = 5_000;

/**
 * Opens a space whose log and feature state are on Redis; segments, counts and snapshots stay in the data directory. What
 * an embedded log of the directory still holds is first rolled into segments, which the log on Redis continues.
 * @throws REDIS_UNAVAILABLE; FENCED when another living process writes this prefix' feature state
 */
export async function openRedisState(
  dir: DataDir,
  options: RedisStateOptions,
): Promise<OpenState & { readonly source: FeatureSource & { readonly reads: RedisFeatureReads } }> {
  const { connection, wallMs, onNotice, replicas = 0 } = options;
  await rollEmbedded(dir, wallMs());
  const givenBack = await continueSegments(connection, {
    segments: dir.segments,
    partition: LOG_PARTITION,
    nowMs: wallMs(),
  });
  if (givenBack > 0) onNotice(`the log on Redis lost ${givenBack} records that segments have`);
  // The process must end, and the next one is to know why.
  const onLost = (): void => {
    if (existsSync(lossPath(dir))) return;
    writeFileSync(lossPath(dir), "");
    options.onLost(new RoostError("BAD_STORE", "Redis lost what it had acknowledged"));
  };
  const log = await openRedisEventLog(connection, {
    partition: LOG_PARTITION,
    startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
    maxLength: options.maxLength ?? MOST_UNROLLED,
    replicas,
    onAlone: () =>
      onNotice("events are acknowledged without a copy: no replica of the event log is connected"),
    onLost,
  });
  const closers: (() => unknown)[] = [() => log.close()];
  const closeAll = (): Promise<void> => closeInTurn(closers);
  try {
    if (log.durability.level !== "always")
      onNotice(`acknowledged events may be lost: ${log.durability.reason}`);
    const lease = await holdState(options);
    closers.push(() => lease.release());
    noteRedis(dir, connection.target);
    await finishErasure(dir, connection);
    const features = await RedisFeatureStore.open({
      connection,
      token: lease.token,
      now: wallMs,
      // An outage is waited for, however long: giving up would only lead to a restart that waits as well.
      attempts: Number.POSITIVE_INFINITY,
      replicas,
      onLost,
    });
    closers.push(() => features.close());
    const root = openLmdb(dir.at("state"));
    closers.push(() => root.close());
    const counts = new PostCounts(root);
    const store = new RedisTimelines(connection, { replicas, onLost });
    const hasLost = givenBack > 0 || existsSync(lossPath(dir));
    const broadcast = await upToDate(dir, log, { features, counts, store, hasLost }, options);
    rmSync(lossPath(dir), { force: true });
    closers.push(forgetOtherLayouts(options));
    const reads = new RedisFeatureReads(connection, wallMs);
    const usage = watchUsage((signal) => measureUsage(connection, { signal }));
    closers.push(() => usage.close());
    const { fanOut, timeline } = await openTimelines(store, broadcast, options);
    const save = checkpointer(broadcast, snapshotPath(dir));
    // A snapshot that is ahead of fan-out would leave deletions that nobody delivers: the one before is kept then.
    const checkpoint = async (): Promise<void> => {
      if (fanOut.position.seq >= broadcast.position) await save();
    };
    return {
      log,
      live: new LiveState(broadcast, features, counts, fanOut),
      timeline,
      fanOut,
      source: {
        reads,
        get position() {
          return features.position;
        },
        get: (entity, key) => features.get(entity, key),
        load: (wanted) => reads.load(wanted),
      },
      figures: { usage: () => usage.latest(), reads },
      checkpoint,
      drain: async () => {
        // From now on what Redis does not take is given up, so that the consumer comes to its end.
        void features.close();
        await Promise.race([fanOut.settled(), delay(MOST_SETTLING_MS, undefined, { ref: false })]);
        await fanOut.close();
      },
      close: async () => {
        closers.push(
          () => counts.flush(),
          () => checkpoint(),
          () => fanOut.close(),
        );
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Left by a process that met a log which lost records: what Redis keeps beside it may have lost some too. */
const lossPath = (dir: DataDir): string => dir.at("redis-lost");

/** Rolls what an embedded log holds into segments, so that no record of the space is in two logs or in none. */
export async function rollEmbedded(dir: DataDir, nowMs: number): Promise<void> {
  if (!existsSync(dir.log)) return;
  const log = openLmdbEventLog(dir.log, {
    startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
  });
  try {
    await new SegmentRoller({ log, dir: dir.segments }).roll(nowMs, { all: true });
  } finally {
    await log.close();
  }
}

/** What is kept elsewhere than in the log. */
interface Derived {
  readonly features: RedisFeatureStore;
  readonly counts: PostCounts;
  readonly store: RedisTimelines;
  /** Whether it is known already that the log on Redis lost records. */
  readonly hasLost: boolean;
}

/**
 * The broadcast state; what is missing, or reflects records that the log does not have, is built anew from the log. Where
 * Redis lost records, nobody knows what else it lost: all that it keeps is built anew, timelines when their readers come.
 */
async function upToDate(
  dir: DataDir,
  log: RedisEventLog,
  { features, counts, store, hasLost }: Derived,
  { onNotice }: RedisStateOptions,
): Promise<BroadcastState> {
  const last = log.lastSeq();
  const broadcast = new BroadcastState();
  const saved = await broadcast.load(snapshotPath(dir), last);
  const delivered = (await store.position(FAN_OUT.name))?.seq ?? 0;
  const furthest = Math.max(saved, delivered, features.position, counts.position);
  const lost = hasLost || furthest > last;
  if (furthest > last)
    onNotice(`the log ends at ${last}, but ${furthest} was acknowledged: Redis lost records`);
  if (lost) await store.clear();
  const foreign = (position: number): boolean => position > last || (position === 0 && last > 0);
  const rebuilt = {
    ...((lost || foreign(features.position)) && { features }),
    ...((lost || foreign(counts.position)) && { counts }),
  };
  if (Object.keys(rebuilt).length === 0) return broadcast;
  onNotice(`${Object.keys(rebuilt).join(" and ")} are built from the log`);
  const fresh = await rebuild({ segments: dir.segments, log }, rebuilt);
  return broadcast.position > 0 && !lost ? broadcast : fresh;
}

/** Stored timelines, what brings posts into them, and how they are read. */
async function openTimelines(
  store: RedisTimelines,
  broadcast: BroadcastState,
  { onNotice }: RedisStateOptions,
): Promise<{ readonly fanOut: FanOut; readonly timeline: ReadTimeline }> {
  const onError = (error: unknown): void =>
    onNotice(`stored timelines do not answer: ${(error as Error).message}`);
  const fanOut = new FanOut({
    ...pick(broadcast),
    store,
    load: new FanOutLoad(),
    now: () => performance.now(),
    onError,
  });
  // What was written before there were timelines is in none: they are made when their readers come.
  if ((await store.position(FAN_OUT.name)) === undefined)
    await store.savePosition(FAN_OUT.name, {
      seq: broadcast.position,
      timeMs: broadcast.posts.newestMs,
    });
  await fanOut.resume();
  const reader = new TimelineReader({ ...pick(broadcast), store, fanOut, onError });
  return { fanOut, timeline: (userId, request) => reader.read(userId, request) };
}

const pick = ({ posts, graph, pulled, activity }: BroadcastState) => ({
  posts,
  graph,
  pulled,
  activity,
});

const monotonicMs = (): number => performance.now();

type LeaseOptions = Pick<RedisStateOptions, "connection" | "owner" | "onLost" | "leaseTtlMs">;

const leasesOf = ({ connection, owner, leaseTtlMs }: Omit<LeaseOptions, "onLost">): Leases =>
  redisLeases(connection, { owner, ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }) });

/** What the one server of a prefix holds: its own lease, and the one to write this layout's state. */
export async function holdState(options: LeaseOptions): Promise<KeptLease> {
  const server = await holdPrefix(options);
  try {
    const { connection, owner, onLost, leaseTtlMs } = options;
    const layout = await holdLayout(connection, {
      owner,
      monotonicMs,
      onLost,
      ...(leaseTtlMs !== undefined && { ttlMs: leaseTtlMs }),
    });
    return {
      token: layout.token,
      release: async () => {
        await layout.release();
        await server.release();
      },
    };
  } catch (error) {
    await server.release();
    throw error;
  }
}

/** Holds the lease of the prefix' one server until it is released or somebody else has it. */
async function holdPrefix(options: LeaseOptions): Promise<KeptLease> {
  const leases = leasesOf(options);
  const lease = await keepLease(leases, SERVER_LEASE, LOG_PARTITION, {
    // The process before may have been killed.
    patienceMs: 2 * leases.ttlMs,
    monotonicMs,
    onLost: options.onLost,
  });
  if (lease !== undefined) return lease;
  throw new RoostError(
    "FENCED",
    `another process writes the feature state under the prefix ${options.connection.target.prefix}`,
  );
}

/**
 * Removes, in the background, what builds before this one left, once this layout is served for the first time: a server that
 * merely starts again leaves alone what is being made ready for the next build.
 * @returns ends it
 */
function forgetOtherLayouts(options: RedisStateOptions): () => Promise<void> {
  const { connection, onNotice } = options;
  const { client, target } = connection;
  const { served } = new FeatureKeys(target.prefix);
  const ended = new AbortController();
  const forget = async (): Promise<void> => {
    if ((await client.get(served)) === LAYOUT_HASH) return;
    const { signal } = ended;
    await removeOtherLayouts(connection, { leases: leasesOf(options), monotonicMs, signal });
    await client.set(served, LAYOUT_HASH);
  };
  const forgotten = forget().catch((error: Error) => {
    if (!ended.signal.aborted)
      onNotice(`what earlier builds left is still there: ${error.message}`);
  });
  return async () => {
    ended.abort();
    await forgotten;
  };
}
