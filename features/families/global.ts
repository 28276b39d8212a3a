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
/** Ten seconds of dwelling count as one event, so that one long stay does not outweigh the prior. */
const SCALE = Float64Array.from(SIGNALS, (_, signal) => (signal === DWELL_SECONDS ? 0.1 : 1));

/** What rates are smoothed towards, by signal: the same for every row of a request. */
export interface Priors {
  /** Mean per impression over everybody; NaN before the first impression. */
  readonly mean: Float64Array;
  /** Impressions that a prior stands for at the least. */
  readonly leastStrength: Float64Array;
}

export const emptyPriors = (): Priors => ({
  mean: new Float64Array(SIGNALS.length),
  leastStrength: new Float64Array(SIGNALS.length),
});

/** Takes the priors from everybody's counts. */
export function loadPriors(global: Float64Array | undefined, priors: Priors): void {
  for (let signal = 0; signal < SIGNALS.length; signal++) {
    const mean = globalRate(global, signal);
    priors.mean[signal] = mean;
    priors.leastStrength[signal] = LEAST_EVENTS / (mean * (SCALE[signal] as number));
  }
}

/**
 * A smoothed mean of `signal` per impression against everybody's: the log ratio for counts and seconds, the difference
 * for `interest` (which may be negative).
 */
export function relativeRate(
  { priors }: RowContext,
  signal: number,
  total: number,
  impressions: number,
  strength: number,
): number {
  const prior = priors.mean[signal] as number;
  if (signal === INTEREST) return (total + strength * prior) / (impressions + strength) - prior;
  const scale = SCALE[signal] as number;
  return logRateRatio(
    total * scale,
    impressions,
    prior * scale,
    Math.max(strength, priors.leastStrength[signal] as number),
  );
}
