import { DecayedCounters, type HalfLife } from "../decayed-counters.ts";
import type { FeatureFamily } from "../family.ts";
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

/** How the viewer has taken to the post's topics, each topic by its weight in the post. */
export const userTopic: FeatureFamily = {
  name: "user_topic",
  version: 1,
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
    out.fill(context.topicCount === 0 ? Number.NaN : 0, column, column + width);
    let best = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < context.topicCount; t++) {
      const state = context.userTopics[t];
      const weight = context.topicWeight[t] as number;
      if (state === undefined) continue;
      const long = counters.decayAt(state, at, context.nowMs, "50d");
      out[column] =
        (out[column] as number) +
        weight * (state[at + counters.slot(IMPRESSION, "50d")] as number) * long;
      const short = counters.decayAt(state, at, context.nowMs, "30m");
      const day = counters.decayAt(state, at, context.nowMs, "1d");
      for (let r = 0; r < rates.length; r++) {
        const entry = rates[r] as (typeof rates)[number];
        const decay = entry.life === 0 ? short : entry.life === 1 ? day : long;
        const value = relativeRate(
          context,
          entry.signal,
          (state[at + entry.slot] as number) * decay,
          (state[at + entry.impressions] as number) * decay,
          STRENGTH,
        );
        out[column + 1 + r] = (out[column + 1 + r] as number) + weight * value;
        if (r === rates.length - 1) best = Math.max(best, value);
      }
    }
    if (context.topicCount > 0)
      out[column + width - 1] = best === Number.NEGATIVE_INFINITY ? Number.NaN : best;
  },
};
