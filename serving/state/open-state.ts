import { existsSync, rmSync } from "node:fs";
import type { RootDatabase } from "lmdb";
import type { EventLog } from "../../datasets/log/event-log.ts";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { readLog } from "../../datasets/log/reader.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { applyEvent } from "../../features/engine.ts";
import { LmdbFeatureStore } from "../../features/lmdb-store.ts";
import { MemoryState } from "../../features/memory-store.ts";
import { BroadcastState, LiveState } from "./live-state.ts";
import { PostCounts } from "./post-counts.ts";

const snapshotPath = (dir: DataDir): string => dir.at("broadcast.snapshot");

/** The log and the state of a data directory. */
export interface OpenState {
  readonly log: EventLog;
  readonly live: LiveState;
  /** Saves what a start after a crash would otherwise read from the log. Holds the event loop up while it serialises. */
  checkpoint(): Promise<void>;
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
    let saving = Promise.resolve();
    // One at a time: two would rename each other's file away.
    const checkpoint = (): Promise<void> => {
      const saved = saving.then(() => broadcast.save(snapshotPath(dir)));
      saving = saved.catch(() => {});
      return saved;
    };
    return {
      log,
      live: new LiveState(broadcast, features, counts),
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

/**
 * Builds the state anew from the whole log in (time, sequence) order and stores it: what `start` does once, and the way
 * back from lost or foreign state.
 */
export async function rebuildState(
  dir: DataDir,
  onProgress: (events: number) => void,
): Promise<void> {
  const log = openLog(dir);
  const { root, features } = await openFeatures(dir, () => {});
  try {
    const broadcast = new BroadcastState();
    const state = new MemoryState();
    const counts = new PostCounts(root);
    await counts.clear();
    let position = 0;
    let events = 0;
    for await (const batch of readLog({ segments: dir.segments, log }, { order: "time" })) {
      for (const event of batch) {
        applyEvent(state, event);
        broadcast.apply(event);
        if (event.seq > position) position = event.seq;
      }
      await counts.add(batch);
      events += batch.length;
      onProgress(events);
    }
    broadcast.position = position;
    await features.replaceAll(position, state.entries());
    await counts.finish(position);
    await broadcast.save(snapshotPath(dir));
  } finally {
    await root.close();
    await log.close();
  }
}
