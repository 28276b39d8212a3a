import { DecayedCounters, type HalfLife } from "../decayed-counters.ts";
import type { FeatureFamily } from "../family.ts";
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

/** How the post's topics fare with everybody right now: bursts show as posts and impressions per half hour. */
export const topic: FeatureFamily = {
  name: "topic",
  version: 1,
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
    out.fill(context.topicCount === 0 ? Number.NaN : 0, column, column + 3 + rates.length);
    for (let t = 0; t < context.topicCount; t++) {
      const state = context.topics[t];
      const weight = context.topicWeight[t] as number;
      if (state === undefined) continue;
      const now = context.nowMs;
      const short = counters.decayAt(state, at, now, "30m");
      const day = counters.decayAt(state, at, now, "1d");
      const block = at + counters.slots;
      const posts30m =
        (state[block + posts.slot(IMPRESSION, "30m")] as number) *
        posts.decayAt(state, block, now, "30m");
      const posts1d =
        (state[block + posts.slot(IMPRESSION, "1d")] as number) *
        posts.decayAt(state, block, now, "1d");
      let c = column;
      out[c] =
        (out[c] as number) +
        weight * (state[at + counters.slot(IMPRESSION, "30m")] as number) * short;
      c++;
      out[c] = (out[c] as number) + weight * posts30m;
      c++;
      // A steady topic holds 48 times as many posts in the day's counter as in the half hour's.
      out[c] = (out[c] as number) + weight * Math.log((48 * posts30m + 5) / (posts1d + 5));
      c++;
      for (let r = 0; r < rates.length; r++, c++) {
        const rate = rates[r] as (typeof rates)[number];
        const decay = rate.halfLife === "30m" ? short : day;
        const value = relativeRate(
          context,
          rate.signal,
          (state[at + rate.slot] as number) * decay,
          (state[at + rate.impressions] as number) * decay,
          STRENGTH,
        );
        out[c] = (out[c] as number) + weight * value;
      }
    }
  },
};
