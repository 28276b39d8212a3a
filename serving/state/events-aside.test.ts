import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLmdbEventLog } from "../../datasets/log/lmdb-event-log.ts";
import { openDataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { eventsAside, spoolPath } from "./events-aside.ts";

/** What a process leaves that is killed while it makes the spool. */
const LEFT: Record<string, (path: string) => Promise<void> | void> = {
  "no file": () => {},
  "an empty file": (path) => writeFileSync(join(path, "data.mdb"), ""),
  "a file without tables": (path) => openLmdb(path).close(),
  "some of the tables": async (path) => {
    const root = openLmdb(path);
    root.openDB({ name: "records", encoding: "string" });
    await root.close();
  },
};

test.each(Object.keys(LEFT))(
  "a start that was killed while it made the spool, with %s, left nothing aside, and the next one takes events",
  async (name) => {
    const space = mkdtempSync(join(tmpdir(), "roost-aside-"));
    const dir = openDataDir(space, "own");
    try {
      mkdirSync(spoolPath(dir));
      await LEFT[name]?.(spoolPath(dir));
      expect(await eventsAside(dir)).toBe(0);
      const spool = openLmdbEventLog(spoolPath(dir));
      await spool.append([{ type: "follow", time_ms: 1, user_id: "1", target_id: "2" }], 0);
      await spool.close();
      expect(await eventsAside(dir)).toBe(1);
    } finally {
      dir.close();
      rmSync(space, { recursive: true });
    }
  },
);
