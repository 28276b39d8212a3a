import { setTimeout } from "node:timers/promises";
import type { Database, RootDatabase } from "lmdb";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { openLmdb } from "../storage/lmdb.ts";
import { type AppendResult, DEDUPLICATION_WINDOW_MS, type EventLog } from "./event-log.ts";
import { SeqWaiters } from "./seq-waiters.ts";
import { decodeRecord, encodeRecord, eventIdKey } from "./stored-record.ts";

// A reader in another process gets no call on a commit; 50 ms is below what a person notices.
const POLL_MS = 50;
// Expired ids removed per append, so that forgetting keeps up with a steady stream and never stalls one request.
const SWEEP_PER_EVENT = 2;
const SWEEP_EXTRA = 16;

export interface LmdbEventLogOptions {
  /** For other processes than the owner: `append` and `trim` are refused. */
  readonly readOnly?: boolean;
  /** Last seq of the segments that the log continues; only a log that is behind it moves up. */
  readonly startAfterSeq?: number;
}

/**
 * Opens the embedded event log in `dir`. Records are JSON: exact for every string that a request may carry (lone
 * surrogates included) and readable by any tool, at the speed of MessagePack for objects of this size.
 * @throws BAD_STORE when it cannot be opened, or `startAfterSeq` is past events that are still in it
 */
export function openLmdbEventLog(dir: string, options: LmdbEventLogOptions = {}): EventLog {
  return new LmdbEventLog(openLmdb(dir, { readOnly: options.readOnly ?? false }), options);
}

class LmdbEventLog implements EventLog {
  readonly #root: RootDatabase;
  readonly #readOnly: boolean;
  /** seq → `encodeRecord` of the event. */
  readonly #records: Database<string, number>;
  /** `eventIdKey` → [seq, arrival ms]. */
  readonly #ids: Database<[number, number], string>;
  /** [arrival ms, seq] → `eventIdKey`: what to forget, oldest first. */
  readonly #expiry: Database<string, [number, number]>;
  readonly #meta: Database<number, string>;
  readonly #waiters = new SeqWaiters();
  readonly #closing = new AbortController();
  #first = 1;
  #last = 0;

  constructor(root: RootDatabase, options: LmdbEventLogOptions) {
    this.#root = root;
    this.#readOnly = options.readOnly ?? false;
    this.#records = root.openDB({ name: "records", encoding: "string" });
    this.#ids = root.openDB({ name: "event_ids", encoding: "json" });
    this.#expiry = root.openDB({ name: "expiry", encoding: "string" });
    this.#meta = root.openDB({ name: "meta", encoding: "json" });
    this.#last = this.#lastCommitted();
    this.#first = this.#firstCommitted();
    const start = options.startAfterSeq ?? 0;
    if (this.#readOnly || start <= this.#last) return;
    if (this.#first <= this.#last)
      throw new RoostError(
        "BAD_STORE",
        `the log ends at seq ${this.#last} and is not rolled, but segments end at ${start}`,
      );
    this.#meta.putSync("last_seq", start);
    this.#last = start;
    this.#first = start + 1;
  }

  async append(events: readonly Event[], nowMs: number): Promise<AppendResult[]> {
    this.#refuseReader();
    // Serialised before the transaction, which concurrent appends share: nothing in it may throw.
    const stored = events.map((event) => ({ json: encodeRecord(event), key: eventIdKey(event) }));
    const results = await this.#root.transaction(() => {
      let last = this.#meta.get("last_seq") ?? 0;
      const results = stored.map(({ json, key }): AppendResult => {
        const before = key === undefined ? undefined : this.#ids.get(key);
        if (before && nowMs - before[1] <= DEDUPLICATION_WINDOW_MS)
          return { seq: before[0], duplicate: true };
        last++;
        this.#records.put(last, json);
        if (key !== undefined) {
          this.#ids.put(key, [last, nowMs]);
          this.#expiry.put([nowMs, last], key);
        }
        return { seq: last, duplicate: false };
      });
      this.#meta.put("last_seq", last);
      this.#forgetIds(nowMs, events.length * SWEEP_PER_EVENT + SWEEP_EXTRA);
      return results;
    });
    await this.#root.flushed;
    // Batches that were committed together may resolve in any order.
    this.#last = results.reduce((last, { seq }) => Math.max(last, seq), this.#last);
    this.#waiters.reached(this.#last);
    return results;
  }

  #forgetIds(nowMs: number, limit: number): void {
    const end: [number, number] = [nowMs - DEDUPLICATION_WINDOW_MS, 0];
    for (const { key, value } of [...this.#expiry.getRange({ end, limit })]) {
      this.#expiry.remove(key);
      // An id that came again after its window belongs to the newer record.
      if (this.#ids.get(value)?.[0] === key[1]) this.#ids.remove(value);
    }
  }

  async read({ fromSeq, limit }: { fromSeq: number; limit: number }): Promise<LoggedEvent[]> {
    this.#refresh();
    const events: LoggedEvent[] = [];
    if (limit <= 0) return events;
    const range = Number.isFinite(limit) ? { start: fromSeq, limit } : { start: fromSeq };
    for (const { key, value } of this.#records.getRange(range))
      events.push(decodeRecord(key, value));
    // Judged by what was found, not by `firstSeq()`: a trim may be committed and not yet reported.
    const found = events[0]?.seq ?? this.#lastCommitted() + 1;
    if (fromSeq < found)
      throw new RoostError("LOG_TRIMMED", `seq ${fromSeq}; the log begins at ${found}`);
    return events;
  }

  firstSeq(): number {
    this.#refresh();
    return this.#first;
  }

  lastSeq(): number {
    this.#refresh();
    return this.#last;
  }

  /** The owner knows its bounds; another process looks them up in a fresh snapshot. */
  #refresh(): void {
    if (!this.#readOnly) return;
    this.#root.resetReadTxn();
    this.#last = this.#lastCommitted();
    this.#first = this.#firstCommitted();
  }

  #lastCommitted(): number {
    return this.#meta.get("last_seq") ?? 0;
  }

  #firstCommitted(): number {
    for (const key of this.#records.getKeys({ limit: 1 })) return key;
    return this.#lastCommitted() + 1;
  }

  async waitFor(seq: number, signal?: AbortSignal): Promise<void> {
    if (!this.#readOnly) {
      if (this.lastSeq() < seq) await this.#waiters.wait(seq, signal);
      return;
    }
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    for (;;) {
      stop.throwIfAborted();
      if (this.lastSeq() >= seq) return;
      // An abort ends the wait at once; the check above then throws its reason.
      await setTimeout(POLL_MS, undefined, { signal: stop }).catch(() => {});
    }
  }

  async trim(throughSeq: number): Promise<void> {
    this.#refuseReader();
    const end = Math.min(throughSeq, this.#last) + 1;
    await this.#root.transaction(() => {
      for (const seq of [...this.#records.getKeys({ end })]) this.#records.remove(seq);
    });
    await this.#root.flushed;
    this.#first = Math.max(this.#first, end);
  }

  async close(): Promise<void> {
    this.#waiters.close();
    this.#closing.abort(new RoostError("NOT_READY", "the event log was closed"));
    await this.#root.close();
  }

  #refuseReader(): void {
    if (this.#readOnly)
      throw new RoostError("BAD_STORE", "this event log is open for reading; its owner writes it");
  }
}
