import { mkdirSync } from "node:fs";
import { openLmdb } from "./lmdb.ts";

/**
 * Copies every named database of the LMDB environment in `from` into a new one in `to`, key by key: unlike a copy of the
 * file it holds nothing of what was removed before.
 */
export async function copyLmdb(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  const source = openLmdb(from);
  const target = openLmdb(to);
  try {
    const names = [...source.getKeys()].map(String);
    for (const name of names) {
      const raw = { name, encoding: "binary", keyEncoding: "binary" } as const;
      const database = source.openDB<Buffer, Buffer>(raw);
      const copied = target.openDB<Buffer, Buffer>(raw);
      await target.transaction(() => {
        for (const { key, value } of database.getRange()) void copied.put(key, value);
      });
    }
    await target.flushed;
  } finally {
    await source.close();
    await target.close();
  }
}
