import { TOPICS_PER_POST } from "./entities.ts";
import { userElsewhere } from "./families/elsewhere.ts";
import { followList } from "./families/follow-list.ts";
import { emptyPriors } from "./families/global.ts";
import { authorTopics, topicShares } from "./families/topic-shares.ts";
import { viewerTopics } from "./families/viewer-topics.ts";
import type { FeatureFamily, RowContext, TopicCell } from "./family.ts";
import { OFFSETS } from "./registry.ts";
import type { InterestOffsets } from "./viewer-interests.ts";

const offsetOf = (family: FeatureFamily): number => OFFSETS.get(family) as number;
export const INTEREST_OFFSETS: InterestOffsets = {
  topicShares: offsetOf(topicShares),
  authorTopics: offsetOf(authorTopics),
  followList: offsetOf(followList),
  viewerTopics: offsetOf(viewerTopics),
};

const NO_TOPIC: TopicCell = {
  topic: 0,
  state: undefined,
  userState: undefined,
  number: -1,
  values: undefined,
  userValues: undefined,
};

/** A context in which nothing is known. */
export function emptyContext(): RowContext {
  return {
    nowMs: 0,
    surface: undefined,
    global: undefined,
    priors: emptyPriors(),
    user: undefined,
    surfaceState: undefined,
    userSurface: undefined,
    authorKnown: false,
    author: undefined,
    post: undefined,
    userAuthor: undefined,
    authorUser: undefined,
    userMedia: undefined,
    topicCount: 0,
    topicWeight: new Float64Array(TOPICS_PER_POST),
    topics: new Array(TOPICS_PER_POST).fill(NO_TOPIC),
    interests: undefined,
    authorTopicsAt: INTEREST_OFFSETS.authorTopics,
    userElsewhereAt: offsetOf(userElsewhere),
  };
}
