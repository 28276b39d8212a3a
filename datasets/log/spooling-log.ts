import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { during } from "../phases.ts";
import type { AppendResult, EventLog } from "./event-log.ts";

/** Events that go on at once. */
const BATCH = 1_000;
/** What ids begin with that events get here. */
export const OWN_ID = "roost.spool:";
/** How long the log is left alone after it was away; longer each time after a refusal that waiting may not mend. */
const RETRY_MS = 250;
const MOST_RETRY_MS = 10_000;
/** Some 500 MB: hours of most services. Beyond it events are refused, as without a spool. */
const MOST_SPOOLED = 1_000_000;

export interface SpoolingLogOptions {
  /** Whether events may be kept aside from now on; else those of an earlier process go on, and new ones are refused until then. */
  readonly takes?: boolean;
  /** Most events that are kept aside. */
  readonly mostSpooled?: number;
  /** Events that go on at once, at most 1,000. */
  readonly batch?: number;
  /** Told why events could not go on, other than that the log is away. */
  readonly onError?: (error: unknown) => void;
}

/**
 * An event log that keeps events aside, in the order of their arrival, while the log behind it is away, and appends them when
 * it is back. As long as any are aside, new ones join them, so the order stays. Every event has an `event_id` before it is
 * first sent, so what arrived although its answer was lost is recognised: each event counts once, within the log's window.
 *
 * What is aside is acknowledged, with the log's last seq in place of its own, and shows in reads once it has gone on.
 */
export class SpoolingLog implements EventLog {
  readonly #log: EventLog;
  readonly #spool: EventLog;
  readonly #options: Required<SpoolingLogOptions>;
  readonly #closing = new AbortController();
  #now: (() => number) | undefined;
  /** Events on their way into the spool. */
  #entering = 0;
  #draining: Promise<void> | undefined;
  /** Set while the last of what is aside goes on: what comes then waits for that, or the queue would never end. */
  #nearlyOut: { readonly gone: Promise<void>; readonly open: () => void } | undefined;

  /** @param spool durable in this process' own storage; closed with this log, as `log` is */
  constructor(log: EventLog, spool: EventLog, options: SpoolingLogOptions = {}) {
    this.#log = log;
    this.#spool = spool;
    this.#options = {
      takes: true,
      mostSpooled: MOST_SPOOLED,
      batch: BATCH,
      onError: () => {},
      ...options,
    };
  }

  /** Begins to append what is aside, also from an earlier process. @param now the arrival clock of the deduplication window */
  begin(now: () => number): void {
    this.#now = now;
    if (this.spooled > 0) this.#drain();
  }

  /** Events that are aside. */
  get spooled(): number {
    return this.#spool.lastSeq() - this.#spool.firstSeq() + 1;
  }

  /** @throws LOG_FULL when too many events are aside; REDIS_UNAVAILABLE while any are that nothing may join */
  async append(events: readonly Event[], nowMs: number): Promise<AppendResult[]> {
    while (this.#nearlyOut !== undefined) await this.#nearlyOut.gone;
    if (!this.#options.takes) {
      if (this.spooled > 0)
        throw new RoostError(
          "REDIS_UNAVAILABLE",
          `${this.spooled} events that came before go on first`,
        );
      return this.#log.append(events, nowMs);
    }
    const named = events.map((event) =>
      event.event_id === undefined ? { ...event, event_id: `${OWN_ID}${randomUUID()}` } : event,
    );
    if (this.#draining !== undefined || this.spooled > 0 || this.#entering > 0)
      return this.#putAside(named, nowMs);
    try {
      return await this.#log.append(named, nowMs);
    } catch (error) {
      if (!isAway(error)) throw error;
      return this.#putAside(named, nowMs);
    }
  }

  async #putAside(events: readonly Event[], nowMs: number): Promise<AppendResult[]> {
    const { mostSpooled } = this.#options;
    if (this.spooled + this.#entering + events.length > mostSpooled)
      throw new RoostError(
        "LOG_FULL",
        `${this.spooled} of at most ${mostSpooled} events wait aside`,
      );
    this.#entering += events.length;
    try {
      const results = await during("spool_take", () => this.#spool.append(events, nowMs));
      const seq = this.#log.lastSeq();
      return results.map(({ duplicate }) => ({ seq, duplicate }));
    } finally {
      this.#entering -= events.length;
      this.#drain();
    }
  }

  #drain(): void {
    if (this.#now === undefined || this.#closing.signal.aborted) return;
    this.#draining ??= this.#drainAll(this.#now).finally(() => {
      this.#draining = undefined;
      this.#letOn();
      // What came in the turn in which nothing was found.
      if (this.spooled > 0) this.#drain();
    });
  }

  #holdBack(): void {
    let open = (): void => {};
    const gone = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#nearlyOut ??= { gone, open };
  }

  #letOn(): void {
    this.#nearlyOut?.open();
    this.#nearlyOut = undefined;
  }

  async #drainAll(now: () => number): Promise<void> {
    const { signal } = this.#closing;
    const { batch } = this.#options;
    let pauseMs = RETRY_MS;
    while (!signal.aborted && (this.spooled > 0 || this.#entering > 0)) {
      try {
        const events = await during("spool_read", () =>
          this.#spool.read({ fromSeq: this.#spool.firstSeq(), limit: batch }),
        );
        const last = events.at(-1)?.seq;
        if (last === undefined) {
          await delay(1, undefined, { signal });
          continue;
        }
        await during("spool_hand_on", () => this.#log.append(events.map(withoutSeq), now()));
        await during("spool_trim", () => this.#spool.trim(last));
        pauseMs = RETRY_MS;
        if (this.spooled <= batch) this.#holdBack();
      } catch (error) {
        this.#letOn();
        if (signal.aborted) return;
        if (!isAway(error)) {
          this.#options.onError(error);
          pauseMs = Math.min(2 * pauseMs, MOST_RETRY_MS);
        }
        await delay(pauseMs, undefined, { signal }).catch(() => {});
      }
    }
    // Before what waited for this is let on.
    if (!signal.aborted) await during("spool_out", async () => {});
  }

  read(range: { readonly fromSeq: number; readonly limit: number }): Promise<LoggedEvent[]> {
    return this.#log.read(range);
  }

  firstSeq(): number {
    return this.#log.firstSeq();
  }

  lastSeq(): number {
    return this.#log.lastSeq();
  }

  waitFor(seq: number, signal?: AbortSignal): Promise<void> {
    return this.#log.waitFor(seq, signal);
  }

  trim(throughSeq: number): Promise<void> {
    return this.#log.trim(throughSeq);
  }

  /** What is aside stays there for the next process. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#draining;
    await this.#log.close();
    await this.#spool.close();
  }
}

/** The log did not answer, or nobody knows whether what it took will last. */
const isAway = (error: unknown): boolean =>
  error instanceof RoostError &&
  (error.code === "REDIS_UNAVAILABLE" || error.code === "NOT_REPLICATED");

function withoutSeq({ seq: _, ...event }: LoggedEvent): Event {
  return event as Event;
}
