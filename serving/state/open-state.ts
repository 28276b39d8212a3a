import { existsSync, rmSync } from "node:fs";
import type { RootDatabase } from "lmdb";
import type { FanOut } from "../../candidates/timelines/fan-out.ts";
import { followingPosts } from "../../candidates/timelines/timeline-reader.ts";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { SpoolingLog } from "../../datasets/log/spooling-log.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { LmdbFeatureStore } from "../../features/lmdb-store.ts";
import type { ReadTimeline } from "../following-timeline.ts";
import type { FeatureSource } from "../hydrators/features.ts";
import type { FeatureFigures } from "../metrics/feature-metrics.ts";
import { BroadcastState, LiveState } from "./live-state.ts";
import { PostCounts } from "./post-counts.ts";
import { rebuild } from "./rebuild.ts";

export const snapshotPath = (dir: DataDir): string => dir.at("broadcast.snapshot");

/** The log and the state of a space. */
export interface OpenState {
  readonly log: EventLog;
  /** The log, where it keeps events aside while it is away: to be begun when there is a clock. */
  readonly spool?: SpoolingLog;
  readonly live: LiveState;
  /** Where requests read features. */
  readonly source: FeatureSource;
  /** What feature state takes, and how it is read. */
  readonly figures: FeatureFigures;
  readonly timeline: ReadTimeline;
  /** Stored timelines and how fan-out to them does, where there are any. */
  readonly fanOut?: FanOut;
  /** Saves what a start after a crash would otherwise read from the log. Holds the event loop up while it serialises. */
  checkpoint(): Promise<void>;
  /** Gives deliveries that are under way their time and ends them; the consumer comes to no end while they wait for room. */
  drain?(): Promise<void>;
  /** Saves what makes the next start fast, and closes. */
  close(): Promise<void>;
}

/**
 * Opens log and state; what is behind the log catches up by the consumer. State that cannot be used, or that reflects
 * records which the log does not have, is thrown away: the log builds it again.
 * @param onRebuild told why state was thrown away
 * @throws BAD_STORE when the log cannot be opened: it is the one thing that cannot be made again
 */
export async function openState(
  dir: DataDir,
  onRebuild: (reason: string) => void = () => {},
): Promise<OpenState> {
  const log = openLog(dir);
  try {
    const last = log.lastSeq();
    let { root, features } = await openFeatures(dir, onRebuild);
    if (features.position > last) {
      onRebuild(`the features reflect record ${features.position}, the log ends at ${last}`);
      await root.close();
      removeFeatures(dir);
      ({ root, features } = await openFeatures(dir, onRebuild));
    }
    const broadcast = new BroadcastState();
    await broadcast.load(snapshotPath(dir), last);
    const counts = new PostCounts(root);
    const checkpoint = checkpointer(broadcast, snapshotPath(dir));
    return {
      log,
      live: new LiveState(broadcast, features, counts),
      source: features,
      figures: { usage: () => features.usage() },
      timeline: async (userId, request) => ({
        ...followingPosts(userId, request, broadcast),
        supplemented: false,
        degraded: false,
      }),
      checkpoint,
      close: async () => {
        await checkpoint();
        await features.close();
        await counts.flush();
        await root.close();
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** Saves the broadcast state, one call after another: two at once would rename each other's file away. */
export function checkpointer(broadcast: BroadcastState, path: string): () => Promise<void> {
  let saving = Promise.resolve();
  return () => {
    const saved = saving.then(() => broadcast.save(path));
    saving = saved.catch(() => {});
    return saved;
  };
}

/**
 * Whether a start needs no rebuilding: the features reflect every segment and a snapshot is there. A look at positions
 * only; what turns out to be unusable is rebuilt by `openState` and the consumer.
 */
export async function isStateBuilt(dir: DataDir): Promise<boolean> {
  if (!existsSync(featuresPath(dir)) || !existsSync(snapshotPath(dir))) return false;
  const { root, features } = await openFeatures(dir, () => {});
  try {
    return features.position >= (listSegments(dir.segments).at(-1)?.last_seq ?? 0);
  } finally {
    await root.close();
  }
}

const openLog = (dir: DataDir): EventLog =>
  openLmdbEventLog(dir.log, { startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0 });

const featuresPath = (dir: DataDir): string => dir.at("state");
const removeFeatures = (dir: DataDir): void =>
  rmSync(featuresPath(dir), { recursive: true, force: true });

/** The feature store; one that cannot be opened or read is replaced by an empty one. */
async function openFeatures(
  dir: DataDir,
  onRebuild: (reason: string) => void,
): Promise<{ root: RootDatabase; features: LmdbFeatureStore }> {
  const open = async () => {
    const root = openLmdb(featuresPath(dir));
    try {
      return { root, features: await LmdbFeatureStore.open(root) };
    } catch (error) {
      await root.close();
      throw error;
    }
  };
  try {
    return await open();
  } catch (error) {
    onRebuild(`the features cannot be read: ${(error as Error).message}`);
    removeFeatures(dir);
    return open();
  }
}

/** Builds the state anew from the whole log and stores it. */
export async function rebuildState(
  dir: DataDir,
  onProgress: (events: number) => void,
): Promise<void> {
  const log = openLog(dir);
  const { root, features } = await openFeatures(dir, () => {});
  try {
    const counts = new PostCounts(root);
    const places = { segments: dir.segments, log };
    const broadcast = await rebuild(places, { features, counts }, onProgress);
    await broadcast.save(snapshotPath(dir));
  } finally {
    await root.close();
    await log.close();
  }
}
