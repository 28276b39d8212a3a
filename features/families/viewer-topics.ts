import type { FeatureFamily } from "../family.ts";
import { forwardWeight } from "../forward-decay.ts";
import { IMPRESSION } from "../signals.ts";

/** Topics kept of one viewer. */
const KEPT = 48;
const WIDTH = 3;
/** Totals over all topics, those that are not kept included. */
export const VIEWER_TOPICS = { impressions: 0, interest: 1, topics: 2 } as const;

/**
 * What the viewer was shown and welcomed, by topic: triples of (topic hash, impressions, interest), forward-decayed. One
 * vector with all topics, where `user_topic` has one each: a taste is judged against the viewer's others.
 */
export const viewerTopics: FeatureFamily = {
  name: "viewer_topics",
  version: 1,
  entity: "user",
  slots: VIEWER_TOPICS.topics + WIDTH * KEPT,
  features: [],
  perRequest: true,
  reads: ["user"],
  onTopicSignal: (state, at, fact, topic, share) => {
    const weight = share * forwardWeight(fact.timeMs);
    const impressions = fact.signal === IMPRESSION ? weight * fact.amount : 0;
    const interest = weight * fact.interest;
    if (impressions === 0 && interest === 0) return;
    state[at + VIEWER_TOPICS.impressions] =
      (state[at + VIEWER_TOPICS.impressions] as number) + impressions;
    state[at + VIEWER_TOPICS.interest] = (state[at + VIEWER_TOPICS.interest] as number) + interest;
    const place = placeOf(state, at + VIEWER_TOPICS.topics, topic);
    state[place + 1] = (state[place + 1] as number) + impressions;
    state[place + 2] = (state[place + 2] as number) + interest;
  },
  read: () => {},
};

/** The topic's triple; when all are taken, that of the least shown topic, emptied: rates cannot be passed on. */
function placeOf(state: Float64Array, from: number, topic: number): number {
  const end = from + WIDTH * KEPT;
  let least = from;
  for (let i = from; i < end; i += WIDTH) {
    if (state[i] === topic) return i;
    if (state[i] === 0) {
      state[i] = topic;
      return i;
    }
    if ((state[i + 1] as number) < (state[least + 1] as number)) least = i;
  }
  state[least] = topic;
  state.fill(0, least + 1, least + WIDTH);
  return least;
}

/** Calls `visit` with each topic's forward-decayed impressions and interest. */
export function eachViewerTopic(
  state: Float64Array,
  at: number,
  visit: (topic: number, impressions: number, interest: number) => void,
): void {
  const from = at + VIEWER_TOPICS.topics;
  for (let i = from; i < from + WIDTH * KEPT && state[i] !== 0; i += WIDTH)
    visit(state[i] as number, state[i + 1] as number, state[i + 2] as number);
}
