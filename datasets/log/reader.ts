import { setTimeout as delay, setImmediate } from "node:timers/promises";
import { RoostError } from "../../errors.ts";
import type { LoggedEvent } from "../events.ts";
import type { EventLog } from "./event-log.ts";
import { listSegments } from "./segment-files.ts";
import { readSegments, type SegmentRead } from "./segments.ts";

/** Where a space's events lie: segments, and the log's tail when there is a log. */
export interface LogPlaces {
  readonly segments: string;
  readonly log?: EventLog | undefined;
}

// Batches of the merge and of following: what a segment read gives too.
const BATCH_ROWS = 2048;
/** Wait before a log that did not answer is asked again. */
const AGAIN_MS = 100;

/**
 * Every event up to the moment of the call, from segments and log tail together, without gap or double, in batches.
 * Safe beside a running roller. In order of time the tail is held in memory: at most what the roller has not rolled yet,
 * which in order of seq is read in pages.
 * @throws BAD_SEGMENT when a segment is damaged or events between segments and log are missing
 */
export async function* readLog(
  { segments, log }: LogPlaces,
  read: SegmentRead,
): AsyncGenerator<LoggedEvent[]> {
  if (log === undefined) {
    yield* readSegments(segments, read);
    return;
  }
  if (read.order === "seq") {
    yield* inSequence({ segments, log }, read);
    return;
  }
  // The tail first: what is trimmed from the log is in a segment by then, so segments listed after it complete it.
  const tail = await readTail(log);
  const firstOfTail = tail[0]?.seq ?? log.lastSeq() + 1;
  checkRolled(segments, firstOfTail);
  const older = readSegments(segments, {
    ...read,
    toSeq: Math.min(read.toSeq ?? Infinity, firstOfTail - 1),
  });
  const newer = tail.filter((event) => wanted(event, read));
  newer.sort((a, b) => a.time_ms - b.time_ms || a.seq - b.seq);
  yield* merge(older, newer);
}

/** Segments as far as the log has been rolled, then the log in pages; both move on while this reads. */
async function* inSequence(
  { segments, log }: LogPlaces & { readonly log: EventLog },
  read: SegmentRead,
): AsyncGenerator<LoggedEvent[]> {
  const last = Math.min(read.toSeq ?? Infinity, log.lastSeq());
  let next = read.fromSeq ?? 1;
  while (next <= last) {
    const first = log.firstSeq();
    if (next < first) {
      checkRolled(segments, first);
      const toSeq = Math.min(last, first - 1);
      yield* readSegments(segments, { ...read, fromSeq: next, toSeq });
      next = toSeq + 1;
      continue;
    }
    const page = await log.read({ fromSeq: next, limit: BATCH_ROWS }).catch((error: unknown) => {
      if (error instanceof RoostError && error.code === "LOG_TRIMMED") return undefined;
      throw error;
    });
    if (page === undefined) {
      // Rolled between asking where it begins and reading it: ask again, once the log could hear of its trim.
      await setImmediate();
      continue;
    }
    if (page.length === 0) return;
    next = (page.at(-1) as LoggedEvent).seq + 1;
    const batch = page.filter((event) => event.seq <= last && wanted(event, read));
    if (batch.length > 0) yield batch;
  }
}

/** @throws BAD_SEGMENT when segments end before the log begins */
function checkRolled(segments: string, firstOfLog: number): void {
  const rolled = listSegments(segments).at(-1)?.last_seq ?? 0;
  if (firstOfLog > 1 && rolled < firstOfLog - 1)
    throw new RoostError(
      "BAD_SEGMENT",
      `${segments} ends at seq ${rolled}, but the log begins at ${firstOfLog}`,
    );
}

async function readTail(log: EventLog): Promise<LoggedEvent[]> {
  for (;;) {
    try {
      return await log.read({ fromSeq: log.firstSeq(), limit: Number.POSITIVE_INFINITY });
    } catch (error) {
      // Rolled between asking where it begins and reading it: ask again, once the log could hear of its trim.
      if (!(error instanceof RoostError && error.code === "LOG_TRIMMED")) throw error;
      await setImmediate();
    }
  }
}

function wanted(event: LoggedEvent, read: SegmentRead): boolean {
  return (
    event.seq >= (read.fromSeq ?? 0) &&
    event.seq <= (read.toSeq ?? Infinity) &&
    event.time_ms >= (read.fromMs ?? -Infinity) &&
    event.time_ms < (read.toMs ?? Infinity) &&
    (read.types === undefined || read.types.includes(event.type))
  );
}

/** Merges two streams in (time, seq) order; at equal times the segments' events have the smaller seq. */
async function* merge(
  older: AsyncIterable<LoggedEvent[]>,
  newer: readonly LoggedEvent[],
): AsyncGenerator<LoggedEvent[]> {
  let next = 0;
  for await (const batch of older) {
    const last = batch.at(-1) as LoggedEvent;
    if (next === newer.length || (newer[next] as LoggedEvent).time_ms >= last.time_ms) {
      yield batch;
      continue;
    }
    const merged: LoggedEvent[] = [];
    for (const event of batch) {
      while (next < newer.length && (newer[next] as LoggedEvent).time_ms < event.time_ms)
        merged.push(newer[next++] as LoggedEvent);
      merged.push(event);
    }
    yield merged;
  }
  for (; next < newer.length; next += BATCH_ROWS) yield newer.slice(next, next + BATCH_ROWS);
}

/**
 * Every event from `fromSeq` on in seq order, and then each new one as it is logged, until `signal` aborts (the
 * iteration then ends) or the log closes. What a consumer runs on.
 */
export async function* followLog(
  { segments, log }: LogPlaces & { readonly log: EventLog },
  fromSeq: number,
  signal: AbortSignal,
): AsyncGenerator<LoggedEvent[]> {
  let next = fromSeq;
  while (!signal.aborted) {
    if (next < log.firstSeq()) {
      for await (const batch of readLog({ segments, log }, { order: "seq", fromSeq: next })) {
        yield batch;
        next = (batch.at(-1) as LoggedEvent).seq + 1;
        if (signal.aborted) return;
      }
      continue;
    }
    let batch: LoggedEvent[];
    try {
      batch = await log.read({ fromSeq: next, limit: BATCH_ROWS });
      if (batch.length === 0) await log.waitFor(next, signal);
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof RoostError ? error.code : undefined;
      // A log elsewhere may be away for a while: nothing is lost by asking again.
      if (code === "REDIS_UNAVAILABLE")
        await delay(AGAIN_MS, undefined, { signal }).catch(() => {});
      else if (code === "LOG_TRIMMED") await setImmediate();
      else throw error;
      continue;
    }
    if (batch.length > 0) {
      yield batch;
      next = (batch.at(-1) as LoggedEvent).seq + 1;
    }
  }
}
