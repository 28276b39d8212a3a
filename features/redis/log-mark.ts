import { createHash } from "node:crypto";
import { type LogPlaces, readLog } from "../../datasets/log/reader.ts";
import { listSegments } from "../../datasets/log/segment-files.ts";
import type { StateFacts } from "./state-file.ts";

/** What tells whether a log is the one that was read up to a record. */
export type LogMark = StateFacts["log"];

/** The mark of a log up to this record, which is in it. */
export async function markLog(places: LogPlaces, upTo: number): Promise<LogMark> {
  const rolled = listSegments(places.segments).at(-1)?.last_seq ?? 0;
  return markOf(places, upTo, Math.min(rolled, upTo));
}

/** Whether the log still holds what it held when it was marked: it only grew, and was rolled further. */
export async function isMarked(
  places: LogPlaces & { readonly log: { lastSeq(): number } },
  mark: LogMark,
): Promise<boolean> {
  if (places.log.lastSeq() < mark.up_to) return false;
  const now = await markOf(places, mark.up_to, mark.rolled);
  return now.segments === mark.segments && now.newest === mark.newest;
}

/**
 * Segments are immutable, and written anew only by an erasure: those up to `rolled` are told by their checksums. Of the
 * records that came after them only the newest is looked at, since a log that lost some has other ones in their places.
 */
async function markOf(places: LogPlaces, upTo: number, rolled: number): Promise<LogMark> {
  const hash = createHash("sha256");
  for (const { last_seq, sha256 } of listSegments(places.segments))
    if (last_seq <= rolled) hash.update(`${last_seq} ${sha256}\n`);
  let newest = "";
  for await (const batch of readLog(places, { order: "seq", fromSeq: upTo, toSeq: upTo }))
    for (const { type, time_ms, event_id = "" } of batch) newest = `${type} ${time_ms} ${event_id}`;
  return { up_to: upTo, rolled, segments: hash.digest("hex"), newest };
}
