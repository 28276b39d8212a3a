import type { Event } from "../../datasets/events.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { SideEffect } from "../pipeline/stages.ts";
import {
  asServed,
  logsCandidates,
  servedCandidates,
  servedItems,
  servedRecord,
} from "../served-record.ts";

/** Durable logging is awaited after the answer; a disk that takes longer than this is broken. */
const TIMEOUT_MS = 10_000;

/**
 * Logs what was served, and on a sampled share of requests every heavy-scored candidate.
 * @param candidateShare 0–1
 */
export function logServed(
  write: (events: readonly Event[]) => Promise<unknown>,
  candidateShare: number,
): SideEffect<HomeQuery> {
  return {
    name: "log_served",
    timeoutMs: TIMEOUT_MS,
    onFailure: "open",
    run: async (query, ranked) => {
      const items = servedItems(ranked.table, ranked.page);
      const record = servedRecord(
        asServed(query, ranked.table),
        query.requestId,
        query.nowMs,
        items,
      );
      const candidates = logsCandidates(query.requestId, candidateShare)
        ? { candidates: servedCandidates(ranked) }
        : {};
      await write([{ ...record, ...candidates }]);
    },
  };
}
