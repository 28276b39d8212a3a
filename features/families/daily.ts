import { DailyCounters } from "../daily-counters.ts";
import type { Entity } from "../entities.ts";
import type { FeatureFamily, RowContext } from "../family.ts";
import { IMPRESSION, INTEREST, SIGNALS, type Signal, signalIndex } from "../signals.ts";
import { relativeRate } from "./global.ts";

interface DailyOptions {
  readonly entity: Entity;
  readonly signals: readonly Signal[];
  /** Prior impressions that a rate is smoothed with. */
  readonly strength: number;
  state(context: RowContext): Float64Array | undefined;
}

/**
 * Rates of a viewer as they stood at midnight. A running rate of a viewer of few impressions mostly says what was seen a
 * moment ago, and within one viewer it leans the wrong way: who has just clicked has one click less to come of those that
 * are in the log. A rate that stands still for a day has no such noise between one post and the next.
 */
function dailyFamily({ entity, signals, strength, state }: DailyOptions): FeatureFamily {
  const rates = signals.map(signalIndex);
  const counters = new DailyCounters([IMPRESSION, ...rates], "50d");
  return {
    name: `${entity}_daily`,
    version: 1,
    entity,
    slots: counters.slots,
    perRequest: true,
    reads: ["global", entity],
    features: [
      {
        name: `${entity}_daily.impressions_50d`,
        description: "impressions until the last midnight (UTC), half-life 50d",
      },
      ...rates.map((signal) => ({
        name: `${entity}_daily.${SIGNALS[signal]}_rate_50d`,
        description: `${SIGNALS[signal]} per impression until the last midnight (UTC) against everybody's, half-life 50d`,
      })),
    ],
    onSignal: (vector, at, fact) =>
      counters.add(vector, at, fact.timeMs, fact.signal, fact.amount, INTEREST, fact.interest),
    read: (context, at, out, column) => {
      const vector = state(context);
      const read = (signal: number): number =>
        vector === undefined ? 0 : counters.read(vector, at, context.nowMs, signal);
      const impressions = read(IMPRESSION);
      const known = impressions > 1e-9;
      out[column] = known ? impressions : Number.NaN;
      rates.forEach((signal, i) => {
        out[column + 1 + i] = known
          ? relativeRate(context, signal, read(signal), impressions, strength)
          : Number.NaN;
      });
    },
  };
}

const signals = [
  "click",
  "favorite",
  "reply",
  "profile_click",
  "dwell_seconds",
  "not_interested",
  "long_view",
  "interest",
] as const;

/** How readily the viewer acts, until yesterday. */
export const userDaily = dailyFamily({
  entity: "user",
  signals,
  strength: 20,
  state: (context) => context.user,
});

/** The same on the surface that asks. */
export const userSurfaceDaily = dailyFamily({
  entity: "user_surface",
  signals: ["click", "favorite", "profile_click", "long_view"],
  strength: 5,
  state: (context) => context.userSurface,
});
