import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** Bytes of a page before its content, of the meta record, and the least page size. */
const PAGE_HEADER = 24;
const META = 136;
const LEAST_PAGE = 256;
const MAGIC = 0xbeefc0de;

interface Meta {
  readonly pageSize: number;
  readonly roots: readonly bigint[];
  readonly transaction: bigint;
}

/**
 * What is wrong with an LMDB file that opening it would end the process: LMDB maps it into memory and trusts it, so what
 * is no LMDB file, or one cut off before its newest root page, is a segmentation fault. Undefined when it can be opened,
 * also when there is none or it is empty. Damage inside is not found: LMDB keeps no checksums.
 *
 * Source: lmdb-js, dependencies/lmdb/libraries/liblmdb/mdb.c: MDB_page (24 bytes before a meta page's content), MDB_meta
 * (magic, version, address, map size, two MDB_db of 48 bytes with the root last, last page, transaction).
 */
export function lmdbFileProblem(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    if (size === 0) return undefined;
    const first = readMeta(file, 0);
    const second = first && readMeta(file, first.pageSize);
    if (first === undefined || second === undefined) return `${path} is no LMDB file`;
    const newest = second.transaction > first.transaction ? second : first;
    const pages = BigInt(Math.floor(size / newest.pageSize));
    // An empty tree has all bits set for its root.
    const cut = newest.roots.some((root) => root !== 0xffff_ffff_ffff_ffffn && root >= pages);
    return cut ? `${path} is cut off: its newest page is not in it` : undefined;
  } finally {
    closeSync(file);
  }
}

function readMeta(file: number, at: number): Meta | undefined {
  const bytes = Buffer.alloc(META);
  if (readSync(file, bytes, 0, META, at + PAGE_HEADER) < META) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const pageSize = bytes.readUInt32LE(24);
  if (pageSize < LEAST_PAGE) return undefined;
  return {
    pageSize,
    roots: [bytes.readBigUInt64LE(64), bytes.readBigUInt64LE(112)],
    transaction: bytes.readBigUInt64LE(128),
  };
}
