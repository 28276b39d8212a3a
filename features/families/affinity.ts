import type { FeatureFamily, RowContext, TopicCell } from "../family.ts";
import { AUTHOR_PRIOR, type ViewerInterests } from "../viewer-interests.ts";
import { AUTHOR_TOPICS } from "./topic-shares.ts";

const WIDTH = 5;

/**
 * How the post suits what the viewer shows an interest in: by the topics that the followed authors write about, which are
 * known from the first request on, and by how the viewer took to topics before. NaN where the post's topics are unknown;
 * the followed authors' features also where none of them has written.
 */
export const affinity: FeatureFamily = {
  name: "affinity",
  version: 1,
  slots: 0,
  perRequest: false,
  reads: ["global", "user", "user_follows", "post"],
  features: [
    {
      name: "affinity.followed_authors",
      description: "followed authors whose topics are known",
    },
    {
      name: "affinity.followed_topics",
      description: "log share of the post's topics in what followed authors write, against all",
    },
    {
      name: "affinity.followed_likeness",
      description: "cosine of the post's topics and those that followed authors write about",
    },
    {
      name: "affinity.engaged_topics",
      description: "log interest in the post's topics against the viewer's own mean",
    },
    {
      name: "affinity.likeness",
      description: "cosine of the post's topics and the viewer's taste (followed and engaged)",
    },
  ],
  read: (context, _at, out, column) => {
    out.fill(Number.NaN, column, column + WIDTH);
    const { interests } = context;
    if (interests === undefined) return;
    const follows = interests.followedAuthors > 0;
    if (follows) out[column] = interests.followedAuthors;
    readPost(context, interests, follows, out, column);
  },
};

/** The same of the author: by what the author writes about. NaN where that is unknown. */
export const authorAffinity: FeatureFamily = {
  name: "author_affinity",
  version: 1,
  slots: 0,
  perRequest: false,
  reads: ["global", "user", "user_follows", "author"],
  features: [
    {
      name: "affinity.author_followed_likeness",
      description: "cosine of the author's topics and those that followed authors write about",
    },
    {
      name: "affinity.author_likeness",
      description: "cosine of the author's topics and the viewer's taste",
    },
  ],
  read: (context, _at, out, column) => {
    out[column] = Number.NaN;
    out[column + 1] = Number.NaN;
    const { interests } = context;
    if (interests !== undefined)
      readAuthor(context, interests, interests.followedAuthors > 0, out, column);
  },
};

function readPost(
  { topicCount, topicWeight, topics }: RowContext,
  interests: ViewerInterests,
  follows: boolean,
  out: Float32Array,
  column: number,
): void {
  const { followed, followedLift, engagedLift, taste } = interests;
  let [known, square, lift, engaged, byFollowed, byTaste] = [0, 0, 0, 0, 0, 0];
  for (let t = 0; t < topicCount; t++) {
    const k = (topics[t] as TopicCell).number;
    if (k < 0) continue;
    const weight = topicWeight[t] as number;
    known += weight;
    square += weight * weight;
    lift += weight * (followedLift[k] as number);
    engaged += weight * (engagedLift[k] as number);
    byFollowed += weight * (followed[k] as number);
    byTaste += weight * (taste[k] as number);
  }
  if (known === 0) return;
  const length = Math.sqrt(square);
  if (follows) {
    out[column + 1] = lift / known;
    out[column + 2] = byFollowed / (length * interests.followedLength);
  }
  if (interests.impressions > 0) out[column + 3] = engaged / known;
  if (follows || interests.impressions > 0) out[column + 4] = byTaste / length;
}

function readAuthor(
  { author, authorTopicsAt }: RowContext,
  interests: ViewerInterests,
  follows: boolean,
  out: Float32Array,
  column: number,
): void {
  if (author === undefined || author[authorTopicsAt] === 0) return;
  const { followed, taste, prior } = interests;
  let [square, byFollowed, byTaste, byPrior] = [0, 0, 0, 0];
  const end = authorTopicsAt + 2 * AUTHOR_TOPICS;
  for (let i = authorTopicsAt; i < end && author[i] !== 0; i += 2) {
    const k = interests.find(author[i] as number);
    if (k < 0) continue;
    const posts = author[i + 1] as number;
    square += posts * posts;
    byFollowed += posts * (followed[k] as number);
    byTaste += posts * (taste[k] as number);
    byPrior += posts * (prior[k] as number);
  }
  // The author's topics with AUTHOR_PRIOR posts on everybody's added, all in forward-decayed units.
  const added = AUTHOR_PRIOR * interests.nowWeight;
  const length = Math.sqrt(square + 2 * added * byPrior + added * added * interests.priorSquare);
  if (follows)
    out[column] =
      (byFollowed + added * interests.priorFollowed) / (length * interests.followedLength);
  if (follows || interests.impressions > 0)
    out[column + 1] = (byTaste + added * interests.priorTaste) / length;
}
