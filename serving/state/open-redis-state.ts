import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { FAN_OUT, FanOut } from "../../candidates/timelines/fan-out.ts";
import { FanOutLoad } from "../../candidates/timelines/fan-out-load.ts";
import { RedisTimelines } from "../../candidates/timelines/redis-timelines.ts";
import { TimelineReader } from "../../candidates/timelines/timeline-reader.ts";
import { continueSegments } from "../../datasets/log/continue-segments.ts";
import {
  LOG_PARTITION,
  openRedisEventLog,
  type RedisEventLog,
} from "../../datasets/log/redis-event-log.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { RoostError } from "../../errors.ts";
import { measureUsage } from "../../features/redis/feature-usage.ts";
import { RedisFeatureReads } from "../../features/redis/redis-reads.ts";
import { RedisFeatureStore } from "../../features/redis/redis-store.ts";
import { watchUsage } from "../../features/redis/usage-watch.ts";
import { closeInTurn } from "../close-in-turn.ts";
import { finishErasure } from "../erasure/finish-erasure.ts";
import type { ReadTimeline } from "../following-timeline.ts";
import type { FeatureSource } from "../hydrators/features.ts";
import { forgetOtherLayouts, holdState, type LeaseOptions } from "./hold-state.ts";
import { BroadcastState, LiveState } from "./live-state.ts";
import { checkpointer, type OpenState, snapshotPath } from "./open-state.ts";
import { PostCounts } from "./post-counts.ts";
import { rebuild } from "./rebuild.ts";
import { noteRedis } from "./redis-note.ts";
import { rollEmbedded } from "./roll-embedded.ts";

export interface RedisStateOptions extends LeaseOptions {
  /** The machine's clock, epoch ms. */
  readonly wallMs: () => number;
  /** Milliseconds that never go back: what the age of fetched copies is told by. */
  readonly monotonicMs: () => number;
  /** Told why state is built anew, or what an acknowledgement is not worth. */
  readonly onNotice: (reason: string) => void;
  /** Told when the lease on the feature state is lost, or Redis has lost what is kept there: this process must end. */
  readonly onLost: (error: RoostError) => void;
  /** Records that may wait to be rolled into segments. */
  readonly maxLength?: number;
  /** How long a request waits for features in each of its two rounds. */
  readonly featureTimeoutMs?: number;
  /** Replicas that must have a copy of an event before it is acknowledged; 0: one while any is connected. */
  readonly replicas?: number;
}

/** Rolled at least hourly; so many unrolled ones are a stuck roller and half a gigabyte. */
const MOST_UNROLLED = 2_000_000;
/** Rounds of a request to Redis for its features, and half of one for what lies between. */
const ROUNDS = 2.5;
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
  // The process must end, and the next one is to know why.
  let lost = false;
  const onLost = (): void => {
    if (lost) return;
    lost = true;
    writeFileSync(lossPath(dir), "");
    options.onLost(new RoostError("BAD_STORE", "Redis lost what it had acknowledged"));
  };
  const lease = await holdState(options);
  const closers: (() => unknown)[] = [() => lease.release()];
  const closeAll = (): Promise<void> => closeInTurn(closers);
  try {
    noteRedis(dir, connection.target);
    await rollEmbedded(dir, wallMs());
    const givenBack = await continueSegments(connection, {
      segments: dir.segments,
      partition: LOG_PARTITION,
      nowMs: wallMs(),
    });
    if (givenBack > 0) onNotice(`the log on Redis lost ${givenBack} records that segments have`);
    const log = await openRedisEventLog(connection, {
      partition: LOG_PARTITION,
      startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
      maxLength: options.maxLength ?? MOST_UNROLLED,
      replicas,
      onAlone: () =>
        onNotice(
          "events are acknowledged without a copy: no replica of the event log is connected",
        ),
      onLost,
    });
    closers.push(() => log.close());
    if (log.durability.level !== "always")
      onNotice(`acknowledged events may be lost: ${log.durability.reason}`);
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
    // What was lost while this was built is for the next start.
    if (!lost) rmSync(lossPath(dir), { force: true });
    closers.push(forgetOtherLayouts(options, onNotice));
    const { featureTimeoutMs: timeoutMs } = options;
    const reads = new RedisFeatureReads(connection, options.monotonicMs, {
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const usage = watchUsage((signal) => measureUsage(connection, { signal }));
    closers.push(() => usage.close());
    const { fanOut, timeline } = await openTimelines(store, broadcast, options);
    const save = checkpointer(broadcast, snapshotPath(dir));
    // A snapshot that is ahead of fan-out would leave deletions that nobody delivers: the one before is kept then.
    const checkpoint = async (): Promise<void> => {
      if (fanOut.position.seq >= broadcast.position) await save();
    };
    const live = new LiveState(broadcast, features, counts, fanOut);
    live.onUserDeleted(() => reads.forget());
    return {
      log,
      live,
      timeline,
      fanOut,
      source: {
        reads,
        get position() {
          return features.position;
        },
        get: (entity, key) => features.get(entity, key),
        load: (wanted) => reads.load(wanted),
        loadTimeoutMs: ROUNDS * reads.timeoutMs,
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
