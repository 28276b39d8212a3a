import { DecayedCounters, logRateRatio } from "../decayed-counters.ts";
import { ELSEWHERE_VIEWS, elsewhereCounters } from "../elsewhere-counters.ts";
import type { FeatureFamily, RowContext } from "../family.ts";
import { DWELL_SECONDS, IMPRESSION, INTEREST, SIGNALS } from "../signals.ts";

const counters = new DecayedCounters(
  SIGNALS.map((_, i) => i),
  ["50d"],
);
/** What was done elsewhere, in a block behind the counters: see `elsewhere.ts`. */
const ELSEWHERE_AT = counters.slots;
const IMPRESSIONS_AT = counters.slot(IMPRESSION, "50d");
const SLOT_OF_SIGNAL = Uint8Array.from(SIGNALS, (_, signal) => counters.slot(signal, "50d"));

/** Counts over everybody: the priors that every other rate is smoothed towards. First family of `global`, so at offset 0. */
export const globalRates: FeatureFamily = {
  name: "global",
  version: 1,
  entity: "global",
  slots: counters.slots + elsewhereCounters.slots,
  features: [],
  perRequest: true,
  reads: ["global"],
  onSignal: (state, at, fact) =>
    counters.add(state, at, fact.timeMs, fact.signal, fact.amount, INTEREST, fact.interest),
  onElsewhere: (state, at, fact) =>
    elsewhereCounters.add(
      state,
      at + ELSEWHERE_AT,
      fact.timeMs,
      fact.signal,
      fact.amount,
      INTEREST,
      0,
    ),
  read: () => {},
};

/** Mean of a signal per impression over everybody (decay cancels); NaN before the first impression. */
export function globalRate(state: Float64Array | undefined, signal: number): number {
  if (state === undefined) return Number.NaN;
  const impressions = state[IMPRESSIONS_AT] as number;
  return impressions > 0
    ? (state[SLOT_OF_SIGNAL[signal] as number] as number) / impressions
    : Number.NaN;
}

/** Mean of a signal per view over everybody, elsewhere; NaN before the first view. */
export function globalElsewhereRate(context: RowContext, slot: number): number {
  const state = context.global;
  if (state === undefined) return Number.NaN;
  const views = state[ELSEWHERE_AT + ELSEWHERE_VIEWS] as number;
  return views > 0 ? (state[ELSEWHERE_AT + slot] as number) / views : Number.NaN;
}

/** Events that a prior stands for at the least: the first of a rare kind must not look like a tenfold rate. */
const LEAST_EVENTS = 0.5;

/**
 * A smoothed mean of `signal` per impression against everybody's: the log ratio for counts and seconds, the difference
 * for `interest` (which may be negative).
 */
export function relativeRate(
  context: RowContext,
  signal: number,
  total: number,
  impressions: number,
  strength: number,
): number {
  const prior = globalRate(context.global, signal);
  if (signal === INTEREST) return (total + strength * prior) / (impressions + strength) - prior;
  // Ten seconds of dwelling count as one event, so that one long stay does not outweigh the prior.
  const scale = signal === DWELL_SECONDS ? 0.1 : 1;
  const events = prior * scale;
  return logRateRatio(
    total * scale,
    impressions,
    events,
    Math.max(strength, LEAST_EVENTS / events),
  );
}
