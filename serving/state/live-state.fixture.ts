import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { MemoryFeatureStore } from "../../features/memory-store.ts";
import { BroadcastState, LiveState } from "./live-state.ts";
import { PostCounts } from "./post-counts.ts";

/** Live state with features in memory and counts in `dir`; nothing closes it but the end of the test process. */
export const liveIn = (dir: string, broadcast = new BroadcastState()): LiveState =>
  new LiveState(broadcast, new MemoryFeatureStore(), new PostCounts(openLmdb(dir)));
