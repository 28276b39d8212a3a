import { TOPICS_PER_POST } from "../entities.ts";
import type { FeatureFamily } from "../family.ts";
import { forwardWeight } from "../forward-decay.ts";
import { addToTopic } from "../topic-counts.ts";
import { POST } from "./post-content.ts";

/** Topics that shares are kept of: the commonest, should there be more. */
export const SHARED_TOPICS = 64;
/** Topics kept of one author: most write about a few. */
export const AUTHOR_TOPICS = 12;

/** What everybody writes about: posts by topic, a post's weight divided among its topics. */
export const topicShares: FeatureFamily = {
  name: "topic_shares",
  version: 1,
  entity: "global",
  slots: 2 * SHARED_TOPICS,
  features: [],
  perRequest: true,
  reads: ["global"],
  onPost: (state, at, timeMs, post) => addPost(state, at, SHARED_TOPICS, timeMs, post),
  read: () => {},
};

/** What an author writes about. Reposts are others' words. */
export const authorTopics: FeatureFamily = {
  name: "author_topics",
  version: 1,
  entity: "author",
  slots: 2 * AUTHOR_TOPICS,
  features: [],
  perRequest: false,
  reads: ["author"],
  onPost: (state, at, timeMs, post) => {
    if (post[POST.repost] === 0) addPost(state, at, AUTHOR_TOPICS, timeMs, post);
  },
  read: () => {},
};

function addPost(
  state: Float64Array,
  at: number,
  pairs: number,
  timeMs: number,
  post: Float64Array,
): void {
  const weight = forwardWeight(timeMs);
  for (let i = 0; i < TOPICS_PER_POST; i++) {
    const topic = post[POST.topics + 2 * i] as number;
    if (topic === 0) return;
    addToTopic(state, at, pairs, topic, weight * (post[POST.topics + 2 * i + 1] as number));
  }
}
