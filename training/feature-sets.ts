import { FEATURE_NAMES, type IdColumn } from "../features/registry.ts";

/** How the heavy ranker reads what a viewer did before: up to the moment, or up to the last midnight. */
export type ViewerRates = "running" | "daily";

/** What moves with every action of the viewer, pairs with authors and topics included. */
const RUNNING =
  /^(user|user_media|user_surface|user_topic|user_author)\.\w+_(30m|1d|50d)$|^affinity\.(engaged_topics|likeness|author_likeness)$/;
const DAILY = /^user(_surface)?_daily\./;

/**
 * What the heavy ranker may use: everything but one of the two kinds of viewer rates. Features that a data set never
 * varies are left out when training.
 */
export function heavyFeatures(rates: ViewerRates): readonly string[] {
  const other = rates === "daily" ? RUNNING : DAILY;
  return FEATURE_NAMES.filter((name) => !other.test(name));
}
export const HEAVY_IDS: readonly IdColumn[] = ["author", "topic", "language", "surface", "media"];

/** The light ranker's few: cheap to read for thousands of candidates, one or two of every group. */
export const LIGHT_FEATURES: readonly string[] = [
  "user.session_impressions",
  "user.click_rate_50d",
  "user.favorite_rate_50d",
  "user.dwell_rate_50d",
  "user.interest_rate_1d",
  "post.age_hours",
  "post.has_photo",
  "post.has_video",
  "post.quality",
  "post.controversy",
  "post.safety_labels",
  "post.impressions_1d",
  "post.click_rate_50d",
  "post.favorite_rate_50d",
  "post.interest_rate_50d",
  "author.followers",
  "author.click_rate_50d",
  "author.favorite_rate_50d",
  "author.interest_rate_50d",
  "user_author.follows",
  "user_author.followed_by",
  "user_author.impressions_50d",
  "user_author.interest_rate_50d",
  "user_topic.interest_rate_50d",
  "user_topic.favorite_rate_50d",
  "user_post.language_match",
  "affinity.followed_topics",
  "affinity.likeness",
  "user_elsewhere.long_view_rate_50d",
  "post_elsewhere.long_view_rate_50d",
  "author_elsewhere.long_view_rate_50d",
  "surface.click_rate_50d",
  "user_surface.click_rate_50d",
];

/** The baseline that every model must beat: what user, author and post did before, head by head. */
export const PAST_RATE_FEATURES: readonly string[] = FEATURE_NAMES.filter((name) =>
  /^(user|author|post|surface|user_surface)\.\w+_rate_50d$/.test(name),
);
