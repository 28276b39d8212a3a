import type { Event, LoggedEvent } from "../events.ts";

/** How long an `event_id` is remembered: a client that retries for two days is still recognised. */
export const DEDUPLICATION_WINDOW_MS = 48 * 3_600_000;

/** What became of one appended event. */
export interface AppendResult {
  /** Its place in the log; for a duplicate the place of the first one. */
  readonly seq: number;
  /** The `event_id` was seen in the last 48 h: nothing was added. */
  readonly duplicate: boolean;
}

/**
 * The newest part of one partition's event log, in the order of arrival; what is older lies in segments. Seq counts
 * from 1 without gaps. Readers see only what is durable. Consumers keep their positions with their own state.
 */
export interface EventLog {
  /**
   * Adds valid events in this order and resolves when they are durable, all or none. `nowMs` is the arrival clock
   * of the deduplication window.
   */
  append(events: readonly Event[], nowMs: number): Promise<AppendResult[]>;
  /**
   * Up to `limit` events from `fromSeq` on, by seq; empty past the end.
   * @throws LOG_TRIMMED when `fromSeq` was trimmed
   */
  read(range: { readonly fromSeq: number; readonly limit: number }): Promise<LoggedEvent[]>;
  /** Seq of the oldest event still held; `lastSeq() + 1` when none is. */
  firstSeq(): number;
  /** Seq of the newest durable event; 0 before the first one. */
  lastSeq(): number;
  /** Resolves when `lastSeq()` has reached `seq`. Rejects when `signal` aborts or the log closes. */
  waitFor(seq: number, signal?: AbortSignal): Promise<void>;
  /** Forgets the events up to `throughSeq`, which segments hold by then. Their ids stay known to deduplication. */
  trim(throughSeq: number): Promise<void>;
  close(): Promise<void>;
}
