import type { EventOf } from "../datasets/events.ts";
import { HEAD_BY_NAME } from "../datasets/heads.ts";

/**
 * What the counters count. `impression` is the denominator of every rate; `negative` pools mute, block and report, which
 * are too rare apart; `interest` is one number for how welcome a post was.
 */
export const SIGNALS = [
  "impression",
  "click",
  "favorite",
  "reply",
  "repost",
  "quote",
  "profile_click",
  "photo_expand",
  "video_view",
  "share",
  "follow_author",
  "dwell",
  "dwell_seconds",
  "not_interested",
  "negative",
  "reply_engaged_by_author",
  "long_view",
  "interest",
] as const;
export type Signal = (typeof SIGNALS)[number];

export const signalIndex = (signal: Signal): number => SIGNALS.indexOf(signal);

export const IMPRESSION = signalIndex("impression");
export const INTEREST = signalIndex("interest");
export const DWELL_SECONDS = signalIndex("dwell_seconds");

const POOLED = new Map<string, Signal>([
  ["mute_author", "negative"],
  ["block_author", "negative"],
  ["report", "negative"],
]);

/** How much one engagement says that the post was welcome: rarer and more deliberate actions say more. */
const INTEREST_AMOUNT: Partial<Record<Signal, number>> = {
  dwell: 0.5,
  click: 0.5,
  long_view: 0.5,
  photo_expand: 0.5,
  video_view: 0.5,
  profile_click: 0.5,
  favorite: 1,
  reply: 1,
  repost: 1,
  quote: 1,
  share: 1,
  follow_author: 1,
  not_interested: -2,
  negative: -3,
};

/** The counted signal of each head, or −1 where a head is not counted. */
const SIGNAL_OF_HEAD = new Map<string, number>(
  [...HEAD_BY_NAME.keys()].map((head) => [
    head,
    SIGNALS.indexOf(POOLED.get(head) ?? (head as Signal)),
  ]),
);
const INTEREST_OF_SIGNAL = Float64Array.from(SIGNALS, (signal) => INTEREST_AMOUNT[signal] ?? 0);

/** How welcome a post was that got an engagement of this head; 0 for a head that says nothing. */
export function interestOfHead(head: string): number {
  const signal = SIGNAL_OF_HEAD.get(head) ?? -1;
  return signal < 0 ? 0 : (INTEREST_OF_SIGNAL[signal] as number);
}

/** One addition to the counters of every entity that an event concerns. */
export interface SignalFact {
  timeMs: number;
  /** Index in SIGNALS. */
  signal: number;
  amount: number;
  /** What it adds to `interest`. */
  interest: number;
}

/** The fact that an impression states. */
export function impressionFact(event: EventOf<"impression">): SignalFact {
  return { timeMs: event.time_ms, signal: IMPRESSION, amount: 1, interest: 0 };
}

/** The fact that an engagement states; undefined for a head that is not counted. An undo takes back what was added. */
export function engagementFact(event: EventOf<"engagement">): SignalFact | undefined {
  const signal = SIGNAL_OF_HEAD.get(event.head) ?? -1;
  if (signal < 0) return undefined;
  const direction = event.undo ? -1 : 1;
  return {
    timeMs: event.time_ms,
    signal,
    amount: direction * (event.value ?? 1),
    interest: direction * (INTEREST_OF_SIGNAL[signal] as number),
  };
}
