import { DecayedCounters, type HalfLife } from "../decayed-counters.ts";
import type { FeatureFamily, RowContext, TopicCell } from "../family.ts";
import { IMPRESSION, INTEREST, type Signal, signalIndex } from "../signals.ts";
import { relativeRate } from "./global.ts";

const RATES = {
  "30m": ["favorite", "interest"],
  "1d": ["click", "favorite", "dwell", "interest"],
} as const satisfies Partial<Record<HalfLife, readonly Signal[]>>;
const HALF_LIVES = ["30m", "1d"] as const;

const counters = new DecayedCounters(
  (["impression", "click", "favorite", "dwell", "interest"] as const).map((s) => signalIndex(s)),
  HALF_LIVES,
);
/** Posts written on the topic, in the impression slot of a block of their own. */
const posts = new DecayedCounters([IMPRESSION], HALF_LIVES);
const STRENGTH = 50;

const rates = HALF_LIVES.flatMap((halfLife) =>
  RATES[halfLife].map((signal) => ({
    halfLife,
    signal: signalIndex(signal),
    slot: counters.slot(signalIndex(signal), halfLife),
    impressions: counters.slot(IMPRESSION, halfLife),
    name: `topic.${signal}_rate_${halfLife}`,
  })),
);

/**
 * How the post's topics fare with everybody right now: bursts show as posts and impressions per half hour. Means over the
 * topics of which something is known, by their weight in the post; NaN where nothing is.
 */
export const topic: FeatureFamily = {
  name: "topic",
  version: 2,
  entity: "topic",
  slots: counters.slots + posts.slots,
  perRequest: false,
  reads: ["global", "post", "topic"],
  features: [
    {
      name: "topic.impressions_30m",
      description: "impressions of the topic, half-life 30 minutes",
    },
    { name: "topic.posts_30m", description: "posts on the topic, half-life 30 minutes" },
    {
      name: "topic.posts_burst",
      description: "posts of the last half hour against the day's rate",
    },
    ...rates.map((rate) => ({
      name: rate.name,
      description: "rate on the post's topics against everybody's, weighted by topic",
    })),
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
  onEvent: (state, at, event) => {
    if (event.type === "post_created")
      posts.add(state, at + counters.slots, event.time_ms, IMPRESSION, 1, IMPRESSION, 0);
  },
  read: (context, at, out, column) => {
    out.fill(Number.NaN, column, column + 3 + rates.length);
    let known = 0;
    let [impressions30m, posts30m, burst] = [0, 0, 0];
    rateTotals.fill(0);
    rateWeights.fill(0);
    for (let t = 0; t < context.topicCount; t++) {
      const cell = context.topics[t] as TopicCell;
      if (cell.state === undefined) continue;
      cell.values ??= valuesOf(context, at, cell.state);
      const values = cell.values;
      const weight = context.topicWeight[t] as number;
      known += weight;
      impressions30m += weight * (values[0] as number);
      posts30m += weight * (values[1] as number);
      burst += weight * (values[2] as number);
      for (let r = 0; r < rates.length; r++) {
        const value = values[3 + r] as number;
        if (Number.isNaN(value)) continue;
        rateTotals[r] = (rateTotals[r] as number) + weight * value;
        rateWeights[r] = (rateWeights[r] as number) + weight;
      }
    }
    if (known === 0) return;
    out[column] = impressions30m / known;
    out[column + 1] = posts30m / known;
    out[column + 2] = burst / known;
    // 0 / 0 where no topic was shown: missing.
    for (let r = 0; r < rates.length; r++)
      out[column + 3 + r] = (rateTotals[r] as number) / (rateWeights[r] as number);
  },
};

/** One topic's impressions and posts of half an hour, its burst, and its rates: NaN without impressions. */
function valuesOf(context: RowContext, at: number, state: Float64Array): Float64Array {
  const values = new Float64Array(3 + rates.length);
  const now = context.nowMs;
  const short = counters.decayAt(state, at, now, "30m");
  const day = counters.decayAt(state, at, now, "1d");
  const block = at + counters.slots;
  const short30m = (state[block + POSTS_30M] as number) * posts.decayAt(state, block, now, "30m");
  const posts1d = (state[block + POSTS_1D] as number) * posts.decayAt(state, block, now, "1d");
  values[0] = (state[at + IMPRESSIONS_30M] as number) * short;
  values[1] = short30m;
  // A steady topic holds 48 times as many posts in the day's counter as in the half hour's.
  values[2] = Math.log((48 * short30m + 5) / (posts1d + 5));
  for (let r = 0; r < rates.length; r++) {
    const rate = rates[r] as (typeof rates)[number];
    const decay = rate.halfLife === "30m" ? short : day;
    const impressions = (state[at + rate.impressions] as number) * decay;
    const total = (state[at + rate.slot] as number) * decay;
    values[3 + r] =
      impressions > 1e-9
        ? relativeRate(context, rate.signal, total, impressions, STRENGTH)
        : Number.NaN;
  }
  return values;
}

/** Scratch of one `read`. */
const rateTotals = new Float64Array(rates.length);
const rateWeights = new Float64Array(rates.length);
const IMPRESSIONS_30M = counters.slot(IMPRESSION, "30m");
const POSTS_30M = posts.slot(IMPRESSION, "30m");
const POSTS_1D = posts.slot(IMPRESSION, "1d");
