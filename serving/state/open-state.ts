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

const snapshotPath = (dir: DataDir): string => dir.at("broadcast.snapshot");

/** The log and the state of a data directory. */
export interface OpenState {
  readonly log: EventLog;
  readonly live: LiveState;
  /** Saves what makes the next start fast, and closes. */
  close(): Promise<void>;
}

/** Opens log and state; what is behind the log catches up by the consumer. */
export async function openState(dir: DataDir): Promise<OpenState> {
  const log = openLmdbEventLog(dir.log, {
    startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
  });
  const root: RootDatabase = openLmdb(dir.at("state"));
  const features = await LmdbFeatureStore.open(root);
  const broadcast = new BroadcastState();
  await broadcast.load(snapshotPath(dir));
  return {
    log,
    live: new LiveState(broadcast, features),
    close: async () => {
      await broadcast.save(snapshotPath(dir));
      await features.close();
      await root.close();
      await log.close();
    },
  };
}

/**
 * Builds the state anew from the whole log in (time, sequence) order and stores it: what `start` does once, and the way
 * back from lost or foreign state.
 */
export async function rebuildState(
  dir: DataDir,
  onProgress: (events: number) => void,
): Promise<void> {
  const log = openLmdbEventLog(dir.log, {
    startAfterSeq: listSegments(dir.segments).at(-1)?.last_seq ?? 0,
  });
  const root = openLmdb(dir.at("state"));
  try {
    const features = await LmdbFeatureStore.open(root);
    const broadcast = new BroadcastState();
    const state = new MemoryState();
    let position = 0;
    let events = 0;
    for await (const batch of readLog({ segments: dir.segments, log }, { order: "time" })) {
      for (const event of batch) {
        applyEvent(state, event);
        broadcast.apply(event);
        if (event.seq > position) position = event.seq;
      }
      events += batch.length;
      onProgress(events);
    }
    broadcast.position = position;
    await features.replaceAll(position, state.entries());
    await broadcast.save(snapshotPath(dir));
  } finally {
    await root.close();
    await log.close();
  }
}
