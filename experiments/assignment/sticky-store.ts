import { RoostError } from "../../errors.ts";
import { type StickyDocument, stickyKey } from "./sticky-document.ts";

/** Keeps sticky documents. Every implementation runs `sticky-store.contract.ts`. */
export interface StickyStore {
  /** The documents that exist under `keys` (`stickyKey`), in any order. */
  read(keys: readonly string[]): Promise<StickyDocument[]>;
  /** Adds the document's assignments to what is stored; an assignment given again replaces the stored one. */
  merge(document: StickyDocument): Promise<void>;
}

/**
 * Sticky documents in memory, at most `maxDocuments`; the least recently used go first. For tests and for one process
 * that may forget on restart.
 * @throws BAD_ARGUMENT when `maxDocuments` is no positive integer
 */
export function memoryStickyStore(maxDocuments = 100_000): StickyStore & { size(): number } {
  if (!Number.isInteger(maxDocuments) || maxDocuments < 1) {
    throw new RoostError("BAD_ARGUMENT", `maxDocuments is ${maxDocuments}, must be an integer ≥ 1`);
  }
  // A Map iterates in order of insertion: taking an entry out and in again makes it the newest.
  const documents = new Map<string, StickyDocument>();
  const touch = (key: string, document: StickyDocument): void => {
    documents.delete(key);
    documents.set(key, document);
  };
  return {
    async read(keys) {
      return keys.flatMap((key) => {
        const document = documents.get(key);
        if (document === undefined) return [];
        touch(key, document);
        return [document];
      });
    },
    async merge(document) {
      const key = stickyKey(document.attributeName, document.attributeValue);
      const stored = documents.get(key);
      touch(key, {
        ...document,
        assignments: { ...stored?.assignments, ...document.assignments },
      });
      if (documents.size > maxDocuments) documents.delete(documents.keys().next().value as string);
    },
    size: () => documents.size,
  };
}
