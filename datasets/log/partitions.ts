import { setImmediate } from "node:timers/promises";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { hash32 } from "../random.ts";
import type { AppendResult, EventLog } from "./event-log.ts";

/**
 * The partition of an event, 0 ≤ p < `partitions`: by its actor (`user_id`, else `author_id`), so that what one user does
 * keeps its order; a post's deletion without an author goes by the post and may come before its creation. A hash of the
 * id, for ever the same (`hash32` with seed 0): the number of partitions is part of a log's identity.
 */
export function partitionOf(event: Event, partitions: number): number {
  return hash32(0, actorOf(event)) % partitions;
}

function actorOf(event: Event): string {
  if ("user_id" in event) return event.user_id;
  if ("author_id" in event && event.author_id !== undefined) return event.author_id;
  if ("post_id" in event) return event.post_id;
  // A tombstone is nobody's.
  return "";
}

export interface PartitionedResult extends AppendResult {
  readonly partition: number;
}

export interface PartitionedEvents {
  readonly partition: number;
  readonly events: readonly LoggedEvent[];
}

/** The logs of all partitions as one. A position is the seq to read next, one for each partition. */
export interface PartitionedLog {
  readonly partitions: readonly EventLog[];
  /**
   * Adds each event to its partition and tells results in the order given. All or none within a partition only: when it
   * rejects, others may have been added, and the same events sent again add nothing twice where they have an `event_id`.
   */
  append(events: readonly Event[], nowMs: number): Promise<PartitionedResult[]>;
  /**
   * Up to `limit` of the events that are there from `positions` on, merged by time and each partition's in order of seq.
   * @throws LOG_TRIMMED when a partition no longer holds its position
   */
  read(
    positions: readonly number[],
    limit: number,
  ): Promise<{ readonly partition: number; readonly event: LoggedEvent }[]>;
  /**
   * What is there from `positions` on and then what is appended, as it comes, in order within a partition. Ends when
   * `signal` aborts.
   * @throws LOG_TRIMMED when a partition no longer holds its position
   */
  follow(positions: readonly number[], signal: AbortSignal): AsyncGenerator<PartitionedEvents>;
  close(): Promise<void>;
}

/** Events of one partition read at once while following. */
const FOLLOW_BATCH = 1_000;

/** Joins the logs of partitions 0, 1, …; `close` closes them. */
export function partitionedLog(partitions: readonly EventLog[]): PartitionedLog {
  return {
    partitions,
    append: (events, nowMs) => append(partitions, events, nowMs),
    read: (positions, limit) => readMerged(partitions, positions, limit),
    follow: (positions, signal) => follow(partitions, positions, signal),
    close: async () => {
      await Promise.all(partitions.map((log) => log.close()));
    },
  };
}

async function append(
  logs: readonly EventLog[],
  events: readonly Event[],
  nowMs: number,
): Promise<PartitionedResult[]> {
  const routed = logs.map(() => ({ events: [] as Event[], places: [] as number[] }));
  for (const [place, event] of events.entries()) {
    const to = routed[partitionOf(event, logs.length)] as (typeof routed)[number];
    to.events.push(event);
    to.places.push(place);
  }
  const results = new Array<PartitionedResult>(events.length);
  const settled = await Promise.allSettled(
    routed.map(async ({ events, places }, partition) => {
      if (events.length === 0) return;
      const appended = await (logs[partition] as EventLog).append(events, nowMs);
      for (const [i, result] of appended.entries())
        results[places[i] as number] = { ...result, partition };
    }),
  );
  // Only when all have settled, so that whoever sends it again does not race with the rest of the first time.
  for (const outcome of settled) if (outcome.status === "rejected") throw outcome.reason;
  return results;
}

async function readMerged(
  logs: readonly EventLog[],
  positions: readonly number[],
  limit: number,
): Promise<{ partition: number; event: LoggedEvent }[]> {
  const heads = await Promise.all(
    logs.map(async (log, partition) => ({
      partition,
      events: await log.read({ fromSeq: positionOf(positions, partition), limit }),
      next: 0,
    })),
  );
  const merged: { partition: number; event: LoggedEvent }[] = [];
  while (merged.length < limit) {
    // A handful of partitions: looking at each head costs less than keeping a heap.
    let earliest: { head: (typeof heads)[number]; event: LoggedEvent } | undefined;
    for (const head of heads) {
      const event = head.events[head.next];
      if (event !== undefined && (earliest === undefined || event.time_ms < earliest.event.time_ms))
        earliest = { head, event };
    }
    if (earliest === undefined) break;
    earliest.head.next++;
    merged.push({ partition: earliest.head.partition, event: earliest.event });
  }
  return merged;
}

async function* follow(
  logs: readonly EventLog[],
  positions: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<PartitionedEvents> {
  const next = logs.map((_, partition) => positionOf(positions, partition));
  while (!signal.aborted) {
    let found = 0;
    for (const [partition, log] of logs.entries()) {
      const events = await log.read({ fromSeq: next[partition] as number, limit: FOLLOW_BATCH });
      if (events.length === 0) continue;
      found += events.length;
      next[partition] = (events.at(-1) as LoggedEvent).seq + 1;
      yield { partition, events };
      if (signal.aborted) return;
    }
    if (found === 0) await anyReaches(logs, next, signal);
    // Reads that are answered from memory must not keep timers and sockets from their turn.
    else await setImmediate();
  }
}

/** Resolves when one of the logs has what is next of it, or `signal` aborts. */
async function anyReaches(
  logs: readonly EventLog[],
  next: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const waits = logs.map((log, partition) =>
    log.waitFor(next[partition] as number, AbortSignal.any([signal, enough.signal])),
  );
  try {
    await Promise.race(waits);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    enough.abort();
    await Promise.allSettled(waits);
  }
}

function positionOf(positions: readonly number[], partition: number): number {
  const position = positions[partition];
  if (position === undefined)
    throw new RoostError("BAD_ARGUMENT", `there is no position for partition ${partition}`);
  return position;
}
