import { createHash } from "node:crypto";
import type { RootDatabase } from "lmdb";
import { type StickyDocument, stickyKey } from "./sticky-document.ts";
import type { StickyStore } from "./sticky-store.ts";

/** A sticky store that outlives the process, and can forget a unit. */
export interface LmdbStickyStore extends StickyStore {
  /** Removes every document whose attribute has this value, whatever the attribute's name. Returns how many. */
  forget(attributeValue: string): Promise<number>;
}

/**
 * Sticky documents in the database `sticky` of `root`; a merge is on disk when it resolves. Unlike features they cannot
 * be made again from the log, so `root` must not be one that is thrown away and rebuilt. Unbounded: a unit takes about
 * 150 bytes and one more assignment about 30.
 */
export function lmdbStickyStore(root: RootDatabase): LmdbStickyStore {
  const documents = root.openDB<StickyDocument, string>({ name: "sticky", encoding: "json" });
  /** [unit, document]: what `forget` removes. */
  const units = root.openDB<true, [string, string]>({ name: "sticky_units", encoding: "json" });
  return {
    read: async (keys) =>
      keys.flatMap((key) => {
        const stored = documents.get(digest(key));
        return stored === undefined ? [] : [stored];
      }),
    async merge({ attributeName, attributeValue, assignments }) {
      const key = digest(stickyKey(attributeName, attributeValue));
      await root.transaction(() => {
        const before = documents.get(key)?.assignments;
        void documents.put(key, {
          attributeName,
          attributeValue,
          assignments: { ...before, ...assignments },
        });
        void units.put([digest(attributeValue), key], true);
      });
      await root.flushed;
    },
    async forget(attributeValue) {
      const unit = digest(attributeValue);
      const removed = await root.transaction(() => {
        const entries = [...units.getKeys({ start: [unit, ""], end: [unit, "~"] })];
        for (const entry of entries) {
          void documents.remove(entry[1]);
          void units.remove(entry);
        }
        return entries.length;
      });
      await root.flushed;
      return removed;
    },
  };
}

/**
 * A key of fixed length, because a value may be any text and LMDB's keys are short. JSON first, because UTF-8 would merge
 * texts with lone surrogates.
 */
const digest = (text: string): string =>
  createHash("sha256").update(JSON.stringify(text)).digest("hex");
