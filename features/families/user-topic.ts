import { DecayedCounters, type HalfLife } from "../decayed-counters.ts";
import type { FeatureFamily, RowContext, TopicCell } from "../family.ts";
import { IMPRESSION, INTEREST, type Signal, signalIndex } from "../signals.ts";
import { relativeRate } from "./global.ts";

const COUNTED = [
  "impression",
  "click",
  "favorite",
  "dwell",
  "not_interested",
  "long_view",
  "interest",
] as const;
const HALF_LIVES = ["30m", "1d", "50d"] as const;
const counters = new DecayedCounters(
  COUNTED.map((s) => signalIndex(s)),
  HALF_LIVES,
);
/** A prior of few impressions: a viewer meets one topic some tens of times. */
const STRENGTH = 6;

const rate = (signal: Signal, halfLife: HalfLife) => ({
  name: `user_topic.${signal}_rate_${halfLife}`,
  signal: signalIndex(signal),
  slot: counters.slot(signalIndex(signal), halfLife),
  impressions: counters.slot(IMPRESSION, halfLife),
  life: HALF_LIVES.indexOf(halfLife as (typeof HALF_LIVES)[number]),
});
const rates = [
  rate("interest", "30m"),
  rate("interest", "1d"),
  rate("click", "50d"),
  rate("favorite", "50d"),
  rate("dwell", "50d"),
  rate("long_view", "50d"),
  rate("not_interested", "50d"),
  rate("interest", "50d"),
];

/**
 * How the viewer has taken to the post's topics: impressions summed by topic weight, rates as means over the topics that
 * the viewer has met. NaN where the viewer met none of them.
 */
export const userTopic: FeatureFamily = {
  name: "user_topic",
  version: 2,
  entity: "user_topic",
  slots: counters.slots,
  perRequest: false,
  reads: ["global", "post", "user_topic"],
  features: [
    {
      name: "user_topic.impressions_50d",
      description: "the viewer's impressions of the post's topics",
    },
    ...rates.map(({ name }) => ({
      name,
      description: "rate on the post's topics, weighted by topic",
    })),
    {
      name: "user_topic.best_interest_50d",
      description: "interest in the best liked of the post's topics",
    },
  ],
  onSignal: (state, at, fact, share) =>
    counters.add(
      state,
      at,
      fact.timeMs,
      fact.signal,
      fact.amount * share,
      INTEREST,
      fact.interest * share,
    ),
  read: (context, at, out, column) => {
    const width = rates.length + 2;
    out.fill(Number.NaN, column, column + width);
    const seen = meet(context, at);
    if (seen <= 1e-9) return;
    out[column] = seen;
    for (let r = 0; r < rates.length; r++) out[column + 1 + r] = meanRate(context, r);
    const best = bestInterest(context);
    if (best > Number.NEGATIVE_INFINITY) out[column + width - 1] = best;
  },
  readOf: (wanted) => (context, at, out, column) => {
    const seen = meet(context, at);
    for (let i = 0; i < wanted.length; i++) {
      const feature = wanted[i] as number;
      let value = Number.NaN;
      if (seen > 1e-9) {
        if (feature === 0) value = seen;
        else if (feature <= rates.length) value = meanRate(context, feature - 1);
        else value = bestInterest(context);
      }
      out[column + i] = Number.isFinite(value) ? value : Number.NaN;
    }
  },
};

/** Computes the values of those topics that no post of the request had before; gives the post's impressions, by weight. */
function meet(context: RowContext, at: number): number {
  let seen = 0;
  for (let t = 0; t < context.topicCount; t++) {
    const cell = context.topics[t] as TopicCell;
    if (cell.userState === undefined) continue;
    cell.userValues ??= valuesOf(context, at, cell.userState);
    seen += (context.topicWeight[t] as number) * (cell.userValues[SEEN] as number);
  }
  return seen;
}

/** Mean of a rate over the post's topics that the viewer met, by weight; NaN where none was within the half-life. */
function meanRate({ topicCount, topics, topicWeight }: RowContext, rate: number): number {
  let total = 0;
  let weights = 0;
  for (let t = 0; t < topicCount; t++) {
    const value = (topics[t] as TopicCell).userValues?.[rate] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    total += (topicWeight[t] as number) * value;
    weights += topicWeight[t] as number;
  }
  return total / weights;
}

/** The largest interest in any of the post's topics; −Infinity where none is known. */
function bestInterest({ topicCount, topics }: RowContext): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let t = 0; t < topicCount; t++) {
    const value = (topics[t] as TopicCell).userValues?.[BEST] ?? Number.NaN;
    if (value > best) best = value;
  }
  return best;
}

/** The viewer's rates on one topic, NaN without impressions, and at `SEEN` the impressions of 50 days. */
function valuesOf(context: RowContext, at: number, state: Float64Array): Float64Array {
  const values = new Float64Array(rates.length + 1);
  const decays = HALF_LIVES.map((life) => counters.decayAt(state, at, context.nowMs, life));
  values[SEEN] = (state[at + IMPRESSIONS_50D] as number) * (decays[2] as number);
  for (let r = 0; r < rates.length; r++) {
    const entry = rates[r] as (typeof rates)[number];
    const decay = decays[entry.life] as number;
    const impressions = (state[at + entry.impressions] as number) * decay;
    const total = (state[at + entry.slot] as number) * decay;
    values[r] =
      impressions > 1e-9
        ? relativeRate(context, entry.signal, total, impressions, STRENGTH)
        : Number.NaN;
  }
  return values;
}

const IMPRESSIONS_50D = counters.slot(IMPRESSION, "50d");
/** The rate that `best_interest_50d` is the largest of: interest, half-life 50 days. */
const BEST = rates.length - 1;
/** Where `valuesOf` puts the impressions. */
const SEEN = rates.length;
