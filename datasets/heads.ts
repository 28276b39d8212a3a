/**
 * The head table: everything a user can do with a post that a model predicts and a weight values.
 * Model outputs, weights, logging, explain, metrics and docs are driven by this one list.
 *
 * Source: Twitter's 2023 heavy ranker (the-algorithm-ml, projects/home/recap README) and X's 2026 ranking scorer
 * (x-algorithm, home-mixer/params/param.rs); `long_view` comes from KuaiRand.
 */
export interface Head {
  readonly name: string;
  /** `binary`: a probability in 0–1. `continuous`: an expected amount in `unit`. */
  readonly kind: "binary" | "continuous";
  /** −1 when the action says that the viewer did not want the post. */
  readonly sign: 1 | -1;
  /** Whether the head can happen at all; a closed gate makes its contribution 0. */
  readonly gate?: "has_photo" | "has_video" | "has_quote" | "out_of_network" | "in_network";
  /** A head derived from others: 1 − Π(1 − p) over these. */
  readonly composite?: readonly string[];
  readonly unit?: "s";
  readonly description: string;
}

const binary = (
  name: string,
  description: string,
  extra: Partial<Pick<Head, "sign" | "gate" | "composite">> = {},
): Head => ({ name, kind: "binary", sign: 1, description, ...extra });

export const HEADS = [
  binary("favorite", "liked the post"),
  binary("reply", "replied to the post"),
  binary("repost", "reposted it unchanged"),
  binary("quote", "reposted it with a comment"),
  binary("click", "opened the post's page"),
  binary("profile_click", "opened the author's profile"),
  binary("video_view", "watched the video for a meaningful time (2026: video quality view)", {
    gate: "has_video",
  }),
  binary("video_open", "opened the video full screen", { gate: "has_video" }),
  binary("video_playback_50", "watched at least half of the video", { gate: "has_video" }),
  binary("photo_expand", "enlarged a photo", { gate: "has_photo" }),
  binary("share", "opened the share sheet and shared"),
  binary("share_via_dm", "sent the post in a direct message"),
  binary("share_via_copy_link", "copied the post's link"),
  binary("open_link", "opened a link in the post"),
  binary("quoted_click", "opened the quoted post", { gate: "has_quote" }),
  binary("quoted_video_view", "watched the quoted post's video", { gate: "has_quote" }),
  binary("dwell", "stayed on the post for more than 5 seconds"),
  {
    name: "dwell_seconds",
    kind: "continuous",
    sign: 1,
    unit: "s",
    description: "time the post was on screen",
  },
  {
    name: "click_dwell_seconds",
    kind: "continuous",
    sign: 1,
    unit: "s",
    description: "time on the post's page after a click",
  },
  {
    name: "active_seconds_residual",
    kind: "continuous",
    sign: 1,
    unit: "s",
    description:
      "active time in the 5 minutes after, beyond what the session predicts (normalised)",
  },
  binary("follow_author", "followed the author", { gate: "out_of_network" }),
  binary("reply_engaged_by_author", "replied, and the author engaged with that reply"),
  binary("good_click", "clicked and then favorited or replied"),
  binary("good_click_v2", "clicked and stayed at least 2 minutes"),
  binary("good_profile_click", "opened the profile and engaged there"),
  binary("post_unexplored", "the post had had few views for its author's reach", {
    gate: "in_network",
  }),
  binary("long_view", "watched 18 seconds or the whole video"),
  binary("not_dwelled", "scrolled past without stopping", { sign: -1 }),
  binary("not_interested", "asked to see fewer posts like this", { sign: -1 }),
  binary("mute_author", "muted the author", { sign: -1 }),
  binary("block_author", "blocked the author", { sign: -1 }),
  binary("report", "reported the post", { sign: -1 }),
  binary("negative_feedback", "any of: not interested, mute, block", {
    sign: -1,
    composite: ["not_interested", "mute_author", "block_author"],
  }),
] as const satisfies readonly Head[];

export type HeadName = (typeof HEADS)[number]["name"];

/** name → head. */
export const HEAD_BY_NAME: ReadonlyMap<string, Head> = new Map(HEADS.map((h) => [h.name, h]));

/** The heads that can be logged as an engagement: all but composites. */
export const ENGAGEMENT_HEADS: readonly Head[] = (HEADS as readonly Head[]).filter(
  (h) => !h.composite,
);

/** The heads that the simulated world produces, in the order of its models' outputs. */
export const WORLD_HEADS = [
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
  "mute_author",
  "block_author",
  "report",
  "reply_engaged_by_author",
] as const satisfies readonly HeadName[];

/** The heads of KuaiRand's log, in the order of its models' outputs. */
export const KUAIRAND_HEADS = [
  "click",
  "favorite",
  "follow_author",
  "reply",
  "repost",
  "not_interested",
  "long_view",
  "profile_click",
] as const satisfies readonly HeadName[];
