import { logRateRatio } from "../decayed-counters.ts";
import {
  ELSEWHERE_FAVORITES,
  ELSEWHERE_LONG_VIEWS,
  ELSEWHERE_VIEWS,
  elsewhereCounters,
} from "../elsewhere-counters.ts";
import type { Entity } from "../entities.ts";
import type { FeatureFamily, RowContext } from "../family.ts";
import { INTEREST, type SignalFact } from "../signals.ts";
import { globalElsewhereRate } from "./global.ts";

/** Views that a rate is smoothed with, by entity: fewer where one viewer meets few posts. */
const STRENGTH = { user: 10, post: 20, author: 20, user_author: 3, user_topic: 5 } as const;
/** Fewer views than this are rounding or what is left of something undone. */
const LEAST_VIEWS = 1e-9;

const count = (state: Float64Array, at: number, fact: SignalFact, share: number): void =>
  elsewhereCounters.add(state, at, fact.timeMs, fact.signal, fact.amount * share, INTEREST, 0);

interface Counts {
  readonly views: number;
  readonly longViews: number;
  readonly favorites: number;
}

/** Decayed counts of one entity at the request; undefined without a view. */
function countsOf(state: Float64Array | undefined, at: number, nowMs: number): Counts | undefined {
  if (state === undefined || !((state[at + ELSEWHERE_VIEWS] as number) > 0)) return undefined;
  const decay = elsewhereCounters.decayAt(state, at, nowMs, "50d");
  const views = (state[at + ELSEWHERE_VIEWS] as number) * decay;
  if (views < LEAST_VIEWS) return undefined;
  return {
    views,
    longViews: Math.max(0, (state[at + ELSEWHERE_LONG_VIEWS] as number) * decay),
    favorites: Math.max(0, (state[at + ELSEWHERE_FAVORITES] as number) * decay),
  };
}

/** Views, and long views and favorites per view against everybody's. */
function entityElsewhere(
  entity: "user" | "post" | "author",
  state: (context: RowContext) => Float64Array | undefined,
): FeatureFamily {
  return {
    name: `${entity}_elsewhere`,
    version: 1,
    entity,
    slots: elsewhereCounters.slots,
    perRequest: entity === "user",
    reads: ["global", entity],
    features: [
      {
        name: `${entity}_elsewhere.views_50d`,
        description: "video views where impressions are not logged, half-life 50d",
      },
      {
        name: `${entity}_elsewhere.long_view_rate_50d`,
        description: "long_view per such view against everybody's, half-life 50d",
      },
      {
        name: `${entity}_elsewhere.favorite_rate_50d`,
        description: "favorite per such view against everybody's, half-life 50d",
      },
    ],
    onElsewhere: count,
    read: (context, at, out, column) => {
      const counts = countsOf(state(context), at, context.nowMs);
      out[column] = counts?.views ?? Number.NaN;
      out[column + 1] = rate(context, counts?.longViews, counts, ELSEWHERE_LONG_VIEWS, entity);
      out[column + 2] = rate(context, counts?.favorites, counts, ELSEWHERE_FAVORITES, entity);
    },
  };
}

function rate(
  context: RowContext,
  events: number | undefined,
  counts: Counts | undefined,
  slot: number,
  entity: keyof typeof STRENGTH,
): number {
  if (counts === undefined || events === undefined) return Number.NaN;
  return logRateRatio(events, counts.views, globalElsewhereRate(context, slot), STRENGTH[entity]);
}

/** What the viewer watches outside of logged rankings. */
export const userElsewhere = entityElsewhere("user", (context) => context.user);
/** How the post is watched there. */
export const postElsewhere = entityElsewhere("post", (context) => context.post);
/** How the author's posts are watched there. */
export const authorElsewhere = entityElsewhere("author", (context) => context.author);

/** The viewer's own long views per view, smoothed with everybody's: what single authors and topics are held against. */
function ownRate(context: RowContext): number {
  const prior = globalElsewhereRate(context, ELSEWHERE_LONG_VIEWS);
  const counts = countsOf(context.user, context.userElsewhereAt, context.nowMs);
  if (counts === undefined) return prior;
  return (counts.longViews + STRENGTH.user * prior) / (counts.views + STRENGTH.user);
}

const pair = (entity: Entity, what: string): FeatureFamily["features"] => [
  {
    name: `${entity}_elsewhere.views_50d`,
    description: `the viewer's video views of ${what} where impressions are not logged, half-life 50d`,
  },
  {
    name: `${entity}_elsewhere.long_view_lift_50d`,
    description: "long_view per such view against the viewer's own, half-life 50d",
  },
];

/** How the viewer watches the author elsewhere. */
export const userAuthorElsewhere: FeatureFamily = {
  name: "user_author_elsewhere",
  version: 1,
  entity: "user_author",
  slots: elsewhereCounters.slots,
  perRequest: false,
  reads: ["global", "user", "user_author"],
  features: pair("user_author", "the author"),
  onElsewhere: count,
  read: (context, at, out, column) => {
    const counts = countsOf(context.userAuthor, at, context.nowMs);
    out[column] = counts?.views ?? Number.NaN;
    out[column + 1] =
      counts === undefined
        ? Number.NaN
        : logRateRatio(counts.longViews, counts.views, ownRate(context), STRENGTH.user_author);
  },
};

/** How the viewer watches the post's topics elsewhere: means over the topics that the viewer met, by weight. */
export const userTopicElsewhere: FeatureFamily = {
  name: "user_topic_elsewhere",
  version: 1,
  entity: "user_topic",
  slots: elsewhereCounters.slots,
  perRequest: false,
  reads: ["global", "user", "post", "user_topic"],
  features: pair("user_topic", "the post's topics"),
  onElsewhere: count,
  read: (context, at, out, column) => {
    let [views, lift, weights] = [0, 0, 0];
    let own = Number.NaN;
    for (let t = 0; t < context.topicCount; t++) {
      const counts = countsOf(context.topics[t]?.userState, at, context.nowMs);
      if (counts === undefined) continue;
      if (weights === 0) own = ownRate(context);
      const weight = context.topicWeight[t] as number;
      views += weight * counts.views;
      lift += weight * logRateRatio(counts.longViews, counts.views, own, STRENGTH.user_topic);
      weights += weight;
    }
    out[column] = weights > 0 ? views : Number.NaN;
    out[column + 1] = weights > 0 ? lift / weights : Number.NaN;
  },
};
