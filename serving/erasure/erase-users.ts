import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  type DatasetManifest,
  hasDataset,
  heldOutDir,
  readManifest,
  segmentsDir,
} from "../../datasets/dataset.ts";
import {
  countErased,
  type ErasedRecords,
  eraseFromLog,
  eraseFromSegments,
  nothingErased,
  type RecordCounts,
  type RewrittenSegment,
} from "../../datasets/log/erase-records.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import { copyLmdb } from "../../datasets/storage/copy-lmdb.ts";
import type { DataDir } from "../../datasets/storage/data-dir.ts";
import { openLmdb } from "../../datasets/storage/lmdb.ts";
import { commitReplacement, replacementDir } from "../../datasets/storage/replacement.ts";
import { lmdbStickyStore } from "../../experiments/assignment/lmdb-sticky-store.ts";
import { partialOf, STATE_FILE } from "../../features/redis/state-file.ts";
import type { ErasedOnRedis, RedisSpace } from "./redis-space.ts";
import type { OnStep } from "./steps.ts";
import { UNFINISHED } from "./unfinished.ts";

/**
 * What an erasure did, kept in `erasures/`. Who was erased can be checked by it, not read from it. Format 2 is format 3
 * without `erased_together` and `redis.files.done`, format 1 format 2 without `redis`.
 */
export interface ErasureReceipt {
  readonly format: 3;
  /** SHA-256 of salt and id, hex. Ids are guessable: keep receipts from whoever must not learn of it. */
  readonly user_sha256: string;
  readonly salt: string;
  readonly erased_at: string;
  /** Event type → records that left a tombstone. */
  readonly records_removed: Readonly<RecordCounts>;
  /** Event type → records of others that no longer name the user. */
  readonly records_redacted: Readonly<RecordCounts>;
  /** Users erased in one go, each with a receipt: what follows on segments and Redis is of all of them. */
  readonly erased_together: number;
  readonly segments_rewritten: readonly string[];
  readonly sticky_documents_removed: number;
  /** Absent where the space is in its data directory alone. */
  readonly redis?: ErasedOnRedis;
}

export const receiptHash = (userId: string, salt: string): string =>
  createHash("sha256").update(`${salt}:${userId}`).digest("hex");

export interface EraseRequest {
  /** At least one. */
  readonly userIds: readonly string[];
  /** Epoch milliseconds. */
  readonly nowMs: number;
  /** Random text, new for every receipt. */
  readonly salt: () => string;
  /** The part of the space that is on Redis, held by the caller. */
  readonly redis?: RedisSpace;
  readonly onStep?: OnStep;
}

/**
 * Removes users from everything that a space keeps: segments, held-out part, event log and sticky arms are written anew
 * without them, what is derived from the log (features, snapshot, index of vectors) is thrown away and built again by the
 * next start. It happens whole or not at all; see `commitReplacement`. What they added to counts of others goes
 * too. Trained models stay: they hold weights, no records.
 *
 * On Redis there is by now only what the log builds again, and event ids. The first goes when all files are ready, before
 * they take their places: a crash until then leaves the user as whole as a lost cache does. The ids go behind the files, and
 * whoever has the space next finishes that.
 * @param dir owned by the caller, and not served from
 */
export async function eraseUsers(
  dir: DataDir,
  { userIds, nowMs, salt, redis, onStep = () => {} }: EraseRequest,
): Promise<ErasureReceipt[]> {
  const users = new Set(userIds);
  onStep("writing files without the users");
  const prepared = replacementDir(dir.path);
  mkdirSync(prepared, { recursive: true });
  const files: string[] = [];
  const total = nothingErased();
  const add = (erased: ErasedRecords): void => {
    for (const [userId, counts] of erased.users)
      for (const change of ["removed", "redacted"] as const)
        for (const [type, n] of Object.entries(counts[change]))
          countErased(total, userId, change, type, n);
  };

  const rewritten: RewrittenSegment[] = [];
  for (const place of [segmentsDir, heldOutDir]) {
    const folder = basename(place(dir.path));
    mkdirSync(place(prepared), { recursive: true });
    for (const segment of await eraseFromSegments(place(dir.path), place(prepared), users)) {
      rewritten.push(segment);
      add(segment.erased);
      const name = basename(segment.after.file, ".parquet");
      files.push(`${folder}/${name}.parquet`, `${folder}/${name}.json`);
      // The held-out part is no part of the log: its positions are other records' there.
      if (place !== segmentsDir) continue;
      for (const seq of segment.erased.seqs) total.seqs.add(seq);
      for (const id of segment.erased.eventIds) total.eventIds.add(id);
    }
  }
  if (existsSync(join(dir.log, "data.mdb"))) {
    add(await eraseFromLog(dir.log, join(prepared, "log"), users, total.seqs));
    files.push("log/data.mdb");
  }
  let stickyDocuments: ReadonlyMap<string, number> = new Map();
  if (existsSync(dir.at("sticky", "data.mdb"))) {
    stickyDocuments = await eraseFromSticky(dir.at("sticky"), join(prepared, "sticky"), users);
    files.push("sticky/data.mdb");
  }
  if (hasDataset(dir.path) && rewritten.length > 0) {
    const manifest = manifestWithout(dir.path, readManifest(dir.path), rewritten);
    writeFileSync(join(prepared, "dataset.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    files.push("dataset.json");
  }

  const onRedis = await redis?.erase(total);
  if (onRedis !== undefined) {
    writeFileSync(join(prepared, UNFINISHED), JSON.stringify(onRedis.unfinished));
    files.push(UNFINISHED);
  }
  mkdirSync(join(prepared, "erasures"), { recursive: true });
  const receipts = [...users].map((userId): ErasureReceipt => {
    const salted = salt();
    return {
      format: 3,
      user_sha256: receiptHash(userId, salted),
      salt: salted,
      erased_at: new Date(nowMs).toISOString(),
      records_removed: total.users.get(userId)?.removed ?? {},
      records_redacted: total.users.get(userId)?.redacted ?? {},
      erased_together: users.size,
      segments_rewritten: rewritten.map(({ after }) => basename(after.file)),
      sticky_documents_removed: stickyDocuments.get(userId) ?? 0,
      ...(onRedis && { redis: onRedis.erased }),
    };
  });
  for (const receipt of receipts) {
    const kept = `erasures/${nowMs}-${receipt.user_sha256.slice(0, 16)}.json`;
    writeFileSync(join(prepared, kept), `${JSON.stringify(receipt, null, 2)}\n`);
    files.push(kept);
  }
  onStep("putting the files in place");
  commitReplacement(dir.path, {
    files,
    // LMDB's lock files belong to the files that go.
    removed: [
      "state",
      "broadcast.snapshot",
      "spool",
      STATE_FILE,
      partialOf(STATE_FILE),
      "vectors",
      "vectors.refused",
      "log/lock.mdb",
      "sticky/lock.mdb",
    ],
  });
  await redis?.finish();
  return receipts;
}

/**
 * Copies sticky arms into `target` without these users', by way of a copy that is edited: the original stays until all is in
 * place, and free pages of the edited one keep the bytes of what is removed.
 * @returns documents removed, by user
 */
async function eraseFromSticky(
  path: string,
  target: string,
  users: ReadonlySet<string>,
): Promise<Map<string, number>> {
  const edited = `${target}.work`;
  await copyLmdb(path, edited);
  const removed = new Map<string, number>();
  const root = openLmdb(edited);
  try {
    const sticky = lmdbStickyStore(root);
    for (const userId of users) removed.set(userId, await sticky.forget(userId));
    await root.flushed;
  } finally {
    await root.close();
  }
  await copyLmdb(edited, target);
  rmSync(edited, { recursive: true });
  return removed;
}

/** The manifest of the data set as it will be: fewer impressions, other checksums. */
function manifestWithout(
  dir: string,
  manifest: DatasetManifest,
  rewritten: readonly RewrittenSegment[],
): DatasetManifest {
  const after = new Map(rewritten.map((segment) => [segment.before.file, segment]));
  const hash = createHash("sha256");
  let impressions = manifest.impressions;
  const heldOut = listSegments(heldOutDir(dir));
  // What a server logged later lies behind the data set's own segments and was never counted.
  const lastSeq = (heldOut[0]?.first_seq ?? manifest.events + 1) - 1;
  const own = listSegments(segmentsDir(dir)).filter(({ last_seq }) => last_seq <= lastSeq);
  for (const segment of [...own, ...heldOut]) {
    const changed = after.get(segment.file);
    hash.update(changed?.after.sha256 ?? segment.sha256);
    for (const { removed } of changed?.erased.users.values() ?? [])
      impressions -= removed.impression ?? 0;
  }
  return { ...manifest, impressions, checksum: hash.digest("hex") };
}
