import { mkdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import type { Database, RootDatabase } from "lmdb";
import type { Event, LoggedEvent } from "../events.ts";
import { openLmdb } from "../storage/lmdb.ts";
import { withoutUsers } from "./erased-event.ts";
import { listSegments, type SegmentInfo, segmentName } from "./segment-files.ts";
import { readSegments, SegmentWriter } from "./segments.ts";

/** Records by event type. */
export type RecordCounts = Record<string, number>;

/** What an erasure changed. */
export interface ErasedRecords {
  /** By the user who was erased: records that went, and records of others that name the user no more. */
  readonly users: Map<string, { readonly removed: RecordCounts; readonly redacted: RecordCounts }>;
  /** Positions of removed records in the log, and the event ids of those that had one. */
  readonly seqs: Set<number>;
  readonly eventIds: Set<string>;
}

export const nothingErased = (): ErasedRecords => ({
  users: new Map(),
  seqs: new Set(),
  eventIds: new Set(),
});

/** Adds a record of this type to what was done for a user. */
export function countErased(
  { users }: ErasedRecords,
  userId: string,
  change: "removed" | "redacted",
  type: string,
  n = 1,
): void {
  const counts = users.get(userId) ?? { removed: {}, redacted: {} };
  users.set(userId, counts);
  counts[change][type] = (counts[change][type] ?? 0) + n;
}

function erase(
  event: Event,
  seq: number,
  users: ReadonlySet<string>,
  erased: ErasedRecords,
): Event {
  const { event: rest, removed, redacted } = withoutUsers(event, users);
  for (const userId of redacted) countErased(erased, userId, "redacted", event.type);
  if (removed !== undefined) {
    countErased(erased, removed, "removed", event.type);
    erased.seqs.add(seq);
    if (event.event_id !== undefined) erased.eventIds.add(event.event_id);
  }
  return rest;
}

/** A segment that was written anew, and what is gone from it. */
export interface RewrittenSegment {
  readonly before: SegmentInfo;
  readonly after: SegmentInfo;
  readonly erased: ErasedRecords;
}

/**
 * Writes into `target`, under their own names, those segments of `dir` that concern these users, without them. A removed
 * record leaves a tombstone, so ranges, positions and times stay. `dir` itself is left as it is.
 * @throws BAD_SEGMENT when a segment is damaged
 */
export async function eraseFromSegments(
  dir: string,
  target: string,
  users: ReadonlySet<string>,
): Promise<RewrittenSegment[]> {
  const rewritten: RewrittenSegment[] = [];
  for (const segment of listSegments(dir)) {
    const erased = nothingErased();
    for await (const event of eventsOf(dir, segment)) erase(event, event.seq, users, erased);
    if (erased.users.size === 0) continue;
    const name = segmentName(segment.first_seq, segment.last_seq);
    // A directory of its own: a writer continues what it finds, and unchanged segments in between are not there.
    const work = path.join(target, `${name}.work`);
    const writer = new SegmentWriter(work, {
      firstSeq: segment.first_seq,
      rowsPerSegment: segment.rows,
      charactersPerSegment: Number.POSITIVE_INFINITY,
    });
    try {
      for await (const event of eventsOf(dir, segment))
        await writer.append(erase(event, event.seq, users, nothingErased()));
    } catch (error) {
      await writer.close().catch(() => {});
      throw error;
    }
    const [after] = (await writer.close()) as [SegmentInfo];
    for (const ending of ["parquet", "json"])
      renameSync(path.join(work, `${name}.${ending}`), path.join(target, `${name}.${ending}`));
    rmSync(work, { recursive: true });
    rewritten.push({ before: segment, after, erased });
  }
  return rewritten;
}

async function* eventsOf(dir: string, segment: SegmentInfo): AsyncGenerator<LoggedEvent> {
  const { first_seq: fromSeq, last_seq: toSeq } = segment;
  for await (const batch of readSegments(dir, { order: "seq", fromSeq, toSeq })) yield* batch;
}

/** Records copied in a transaction: bounds what one holds in memory. */
const BATCH = 10_000;

/**
 * Copies the event log in `dir` into a new environment in `target`, without these users: the records, and the event ids of
 * removed ones, also of those in `removedBefore`. A copy and not an edit, because LMDB leaves the bytes of what is removed
 * in free pages. The log must not be open elsewhere for writing.
 * @param removedBefore positions that were removed from segments
 */
export async function eraseFromLog(
  dir: string,
  target: string,
  users: ReadonlySet<string>,
  removedBefore: ReadonlySet<number>,
): Promise<ErasedRecords> {
  mkdirSync(target, { recursive: true });
  const from = openLmdb(dir);
  const to = openLmdb(target);
  try {
    const erased = nothingErased();
    await copy<string, number>(from, to, "records", "string", (value, seq) => {
      const record = JSON.parse(value) as { v: number; event: Event };
      const event = erase(record.event, seq, users, erased);
      return event === record.event ? value : JSON.stringify({ ...record, event });
    });
    const isGone = (seq: number): boolean => erased.seqs.has(seq) || removedBefore.has(seq);
    await copy<[number, number], string>(from, to, "event_ids", "json", (value) =>
      isGone(value[0]) ? undefined : value,
    );
    await copy<string, [number, number]>(from, to, "expiry", "string", (value, [, seq]) =>
      isGone(seq) ? undefined : value,
    );
    await copy<number, string>(from, to, "meta", "json", (value) => value);
    await to.flushed;
    return erased;
  } finally {
    await from.close();
    await to.close();
  }
}

async function copy<V, K extends string | number | [number, number]>(
  from: RootDatabase,
  to: RootDatabase,
  name: string,
  encoding: "json" | "string",
  change: (value: V, key: K) => V | undefined,
): Promise<void> {
  const source: Database<V, K> = from.openDB({ name, encoding });
  const target: Database<V, K> = to.openDB({ name, encoding });
  let batch: { key: K; value: V }[] = [];
  const write = (): Promise<void> =>
    to.transaction(() => {
      for (const { key, value } of batch) void target.put(key, value);
      batch = [];
    });
  for (const { key, value } of source.getRange()) {
    const changed = change(value, key);
    if (changed !== undefined) batch.push({ key, value: changed });
    if (batch.length === BATCH) await write();
  }
  await write();
}
