import { RoostError } from "../../errors.ts";
import type { Event, LoggedEvent } from "../events.ts";
import { type AppendResult, DEDUPLICATION_WINDOW_MS, type EventLog } from "./event-log.ts";
import { SeqWaiters } from "./seq-waiters.ts";

/** An event log that lives as long as its process: the oracle of the contract suite, and for tests. */
export function memoryEventLog(options: { startAfterSeq?: number } = {}): EventLog {
  let last = options.startAfterSeq ?? 0;
  let events: LoggedEvent[] = [];
  const seen = new Map<string, { seq: number; atMs: number }>();
  const waiters = new SeqWaiters();
  const first = (): number => last - events.length + 1;

  const appendOne = (event: Event, nowMs: number): AppendResult => {
    const before = event.event_id === undefined ? undefined : seen.get(event.event_id);
    if (before && nowMs - before.atMs <= DEDUPLICATION_WINDOW_MS)
      return { seq: before.seq, duplicate: true };
    last++;
    events.push({ ...structuredClone(event), seq: last });
    if (event.event_id !== undefined) seen.set(event.event_id, { seq: last, atMs: nowMs });
    return { seq: last, duplicate: false };
  };

  return {
    async append(added, nowMs) {
      const results = added.map((event) => appendOne(event, nowMs));
      waiters.reached(last);
      return results;
    },
    async read({ fromSeq, limit }) {
      if (fromSeq < first())
        throw new RoostError("LOG_TRIMMED", `seq ${fromSeq}; the log begins at ${first()}`);
      const from = fromSeq - first();
      return structuredClone(events.slice(from, from + limit));
    },
    firstSeq: first,
    lastSeq: () => last,
    waitFor: async (seq, signal) => {
      if (seq > last) await waiters.wait(seq, signal);
    },
    async trim(throughSeq) {
      events = events.filter((event) => event.seq > throughSeq);
    },
    async close() {
      waiters.close();
    },
  };
}
