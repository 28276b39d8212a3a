import { existsSync } from "node:fs";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { SegmentRoller } from "../../datasets/log/roller.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";

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
