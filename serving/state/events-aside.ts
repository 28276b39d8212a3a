import { existsSync } from "node:fs";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";

/** Where events wait that came while Redis was gone. */
export const spoolPath = (dir: DataDir): string => dir.at("spool");

/**
 * How many events of an earlier process wait for Redis. Opened to write, as the directory's owner may: a spool that a killed
 * process had begun to make cannot be read before it is finished.
 */
export async function eventsAside(dir: DataDir): Promise<number> {
  if (!existsSync(dir.at("spool", "data.mdb"))) return 0;
  const spool = openLmdbEventLog(spoolPath(dir));
  try {
    return spool.lastSeq() - spool.firstSeq() + 1;
  } finally {
    await spool.close();
  }
}
