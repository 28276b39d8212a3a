import { setTimeout as delay } from "node:timers/promises";
import type { FeatureUsage } from "../usage.ts";

/** Between two counts, and before the first: a server that starts has other things to ask Redis. */
const EVERY_MS = 600_000;
const FIRST_AFTER_MS = 5_000;

/** What was counted last, so that whoever asks waits for nothing. */
export interface UsageWatch {
  /** Undefined before the first count ends. */
  latest(): FeatureUsage | undefined;
  close(): Promise<void>;
}

/** Counts again and again in the background. A count that failed leaves the one before. */
export function watchUsage(
  measure: (signal: AbortSignal) => Promise<FeatureUsage>,
  { everyMs = EVERY_MS, firstAfterMs = FIRST_AFTER_MS } = {},
): UsageWatch {
  const ended = new AbortController();
  const { signal } = ended;
  let latest: FeatureUsage | undefined;
  const watching = (async () => {
    for (let waitMs = firstAfterMs; ; waitMs = everyMs) {
      await delay(waitMs, undefined, { signal, ref: false });
      latest = await measure(signal).catch(() => latest);
    }
  })().catch(() => {});
  return {
    latest: () => latest,
    close: async () => {
      ended.abort();
      await watching;
    },
  };
}
