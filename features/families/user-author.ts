import { DecayedCounters } from "../decayed-counters.ts";
import type { FeatureFamily } from "../family.ts";
import { IMPRESSION, INTEREST, type Signal, signalIndex } from "../signals.ts";
import { relativeRate } from "./global.ts";

const COUNTED = [
  "impression",
  "click",
  "favorite",
  "reply",
  "repost",
  "profile_click",
  "dwell",
  "dwell_seconds",
  "not_interested",
  "interest",
] as const satisfies readonly Signal[];
const RATES = [
  "click",
  "favorite",
  "reply",
  "repost",
  "profile_click",
  "dwell",
  "dwell_seconds",
  "interest",
] as const;

const counters = new DecayedCounters(
  COUNTED.map((s) => signalIndex(s)),
  ["1d", "50d"],
);
/** Slots of the pair. First family of `user_author`, so at offset 0. */
export const USER_AUTHOR = {
  follows: 0,
  /** When the newest follow or unfollow happened. */
  changedAt: 1,
  lastSeen: 2,
  lastEngaged: 3,
} as const;
const COUNTERS = 4;
/** Few impressions a pair: a weaker prior than the entities' own. */
const STRENGTH = 4;
const HOUR = 1 / 3_600_000;
const IMPRESSIONS_1D = counters.slot(IMPRESSION, "1d");
const IMPRESSIONS_50D = counters.slot(IMPRESSION, "50d");
const INTEREST_1D = counters.slot(INTEREST, "1d");
const NOT_INTERESTED_50D = counters.slot(signalIndex("not_interested"), "50d");
const rateSignals = Int32Array.from(RATES, (signal) => signalIndex(signal));
const rateSlots = Int32Array.from(rateSignals, (signal) => counters.slot(signal, "50d"));

/** What there is between the viewer and the author: the follow in both directions and the viewer's past with the author. */
export const userAuthor: FeatureFamily = {
  name: "user_author",
  version: 2,
  entity: "user_author",
  slots: COUNTERS + counters.slots,
  perRequest: false,
  reads: ["global", "user_author"],
  features: [
    { name: "user_author.follows", description: "1 when the viewer follows the author" },
    { name: "user_author.followed_by", description: "1 when the author follows the viewer" },
    {
      name: "user_author.days_followed",
      description: "days since the follow; missing when not followed",
    },
    { name: "user_author.hours_since_seen", description: "hours since the author was last seen" },
    { name: "user_author.hours_since_engaged", description: "hours since the last welcome action" },
    {
      name: "user_author.impressions_1d",
      description: "impressions of the author, half-life 1 day",
    },
    {
      name: "user_author.impressions_50d",
      description: "impressions of the author, half-life 50 days",
    },
    {
      name: "user_author.not_interested_50d",
      description: "not-interested actions, half-life 50 days",
    },
    { name: "user_author.interest_1d", description: "interest per impression, half-life 1 day" },
    ...RATES.map((signal) => ({
      name: `user_author.${signal}_rate_50d`,
      description: `${signal} per impression of the author against everybody's`,
    })),
  ],
  onEvent: (state, at, event) => {
    if (event.type !== "follow" && event.type !== "unfollow") return;
    state[at + USER_AUTHOR.follows] = event.type === "follow" ? 1 : 0;
    state[at + USER_AUTHOR.changedAt] = event.time_ms;
  },
  onSignal: (state, at, fact) => {
    counters.add(
      state,
      at + COUNTERS,
      fact.timeMs,
      fact.signal,
      fact.amount,
      INTEREST,
      fact.interest,
    );
    if (fact.signal === IMPRESSION)
      state[at + USER_AUTHOR.lastSeen] = Math.max(
        state[at + USER_AUTHOR.lastSeen] as number,
        fact.timeMs,
      );
    if (fact.interest > 0)
      state[at + USER_AUTHOR.lastEngaged] = Math.max(
        state[at + USER_AUTHOR.lastEngaged] as number,
        fact.timeMs,
      );
  },
  read: (context, at, out, column) => {
    const pair = context.userAuthor;
    const follows = pair !== undefined && pair[at + USER_AUTHOR.follows] === 1;
    let c = column;
    out[c++] = !context.authorKnown ? Number.NaN : follows ? 1 : 0;
    out[c++] = !context.authorKnown
      ? Number.NaN
      : context.authorUser?.[at + USER_AUTHOR.follows] === 1
        ? 1
        : 0;
    if (pair === undefined) {
      out.fill(Number.NaN, c, column + 9 + rateSlots.length);
      return;
    }
    const now = context.nowMs;
    const seen = pair[at + USER_AUTHOR.lastSeen] as number;
    const engaged = pair[at + USER_AUTHOR.lastEngaged] as number;
    const block = at + COUNTERS;
    const recent = counters.decayAt(pair, block, now, "1d");
    const long = counters.decayAt(pair, block, now, "50d");
    const impressions1d = (pair[block + IMPRESSIONS_1D] as number) * recent;
    const impressions = (pair[block + IMPRESSIONS_50D] as number) * long;
    const known = impressions > 1e-9;
    out[c++] = follows
      ? (Math.max(0, now - (pair[at + USER_AUTHOR.changedAt] as number)) * HOUR) / 24
      : Number.NaN;
    out[c++] = seen > 0 ? Math.max(0, now - seen) * HOUR : Number.NaN;
    out[c++] = engaged > 0 ? Math.max(0, now - engaged) * HOUR : Number.NaN;
    out[c++] = known ? impressions1d : Number.NaN;
    out[c++] = known ? impressions : Number.NaN;
    out[c++] = known ? (pair[block + NOT_INTERESTED_50D] as number) * long : Number.NaN;
    out[c++] =
      impressions1d > 1e-9
        ? relativeRate(
            context,
            INTEREST,
            (pair[block + INTEREST_1D] as number) * recent,
            impressions1d,
            STRENGTH,
          )
        : Number.NaN;
    for (let r = 0; r < rateSlots.length; r++)
      out[c++] = known
        ? relativeRate(
            context,
            rateSignals[r] as number,
            (pair[block + (rateSlots[r] as number)] as number) * long,
            impressions,
            STRENGTH,
          )
        : Number.NaN;
  },
};
