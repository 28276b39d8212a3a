import type { HeadName } from "../heads.ts";

/**
 * How each head answers to what a person meets. Per head: weights on the terms of `RESPONSE_TERMS`, the weight of the
 * person's own propensity, the half-life of interest in hours, and the mean probability that the intercept is
 * calibrated to.
 *
 * Source: variant V of the world's prototype, with its scales multiplied out: match and style × .45, quality × 1.3,
 * tie × .6, propensity × 1.6, half-lives × .45, every weight of a negative head × .75. Deviations, each to meet the
 * target table with logged pages of this world: clicks last longer, follow media and controversy more and quality less
 * (else ranking by clicks alone would nearly do), and replies, favorites and "not interested" lean less on the tie
 * (else the best posts would all be in-network).
 */
export interface Response {
  readonly head: HeadName;
  readonly negative: boolean;
  /** In the order of RESPONSE_TERMS. */
  readonly weights: readonly number[];
  readonly propensity: number;
  /** Infinity: no decay. */
  readonly halfLifeHours: number;
  /** Mean probability where the head can happen; for `reply_engaged_by_author` given a reply. */
  readonly meanRate: number;
}

export const RESPONSE_TERMS = [
  "match",
  "quality",
  "tie",
  "followed",
  "media",
  "fatigue",
  "style",
  "controversy",
  "toxicity",
] as const;
export const TERM_COUNT = RESPONSE_TERMS.length;

const GAIN = 0.45;
const QUALITY = 1.3;
const TIE = 0.6;
const PROPENSITY = 1.6;
const HALF_LIFE = 0.45;
const NEGATIVE = 0.75;
/** Scale of a negative head's response to over-exposure. */
export const NEGATIVE_SCALE = NEGATIVE;

/** [match, quality, tie, followed, media, fatigue, propensity, style, controversy, toxicity, half-life h] */
type Row = readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

function response(head: HeadName, meanRate: number, row: Row, negative = false): Response {
  const [match, quality, tie, followed, media, fatigue, propensity, style, contro, toxic, life] =
    row;
  const scale = negative ? NEGATIVE : 1;
  return {
    head,
    negative,
    meanRate,
    weights: [
      match * GAIN,
      quality * QUALITY,
      tie * TIE,
      followed,
      media,
      fatigue,
      style * GAIN,
      contro,
      toxic,
    ].map((w) => w * scale),
    propensity: propensity * PROPENSITY * scale,
    halfLifeHours: life * HALF_LIFE,
  };
}
const never = Number.POSITIVE_INFINITY;

export const RESPONSES: readonly Response[] = [
  response("click", 0.1, [0.65, 0.3, 0.2, 0.05, 0.7, -0.4, 0.45, 0.4, 0.3, 0.15, 32]),
  response("favorite", 0.033, [1.15, 0.6, 0.45, 0.15, 0.3, -0.4, 0.9, 0.4, 0, 0, 10]),
  response("reply", 0.005, [0.7, 0.25, 0.5, 0.25, 0, -0.4, 0.8, 0.25, 0.6, 0, 4]),
  response("repost", 0.0065, [1, 0.7, 0.35, 0, 0.1, -0.3, 0.9, 0.3, 0.15, 0, 8]),
  response("quote", 0.001, [0.9, 0.45, 0.35, 0, 0, -0.3, 0.9, 0.25, 0.5, 0, 6]),
  response("profile_click", 0.0145, [0.7, 0.4, -0.1, -0.5, 0.1, -0.2, 0.5, 0.4, 0.2, 0, 20]),
  response("photo_expand", 0.06, [0.6, 0.4, 0.2, 0, 0.6, -0.4, 0.5, 0.2, 0, 0, 18]),
  response("video_view", 0.06, [0.6, 0.4, 0.15, 0, 0.9, -0.5, 0.5, 0.2, 0, 0, 18]),
  response("share", 0.0025, [0.9, 0.6, 0.2, 0, 0.4, -0.3, 0.8, 0.2, 0.1, 0, 12]),
  response("follow_author", 0.0018, [1, 0.6, 0, 0, 0.1, -0.2, 0.7, 0.5, 0, 0, 24]),
  response("dwell", 0.32, [0.65, 0.35, 0.2, 0.05, 0.4, -0.6, 0.5, 0.2, 0.2, 0, 24]),
  response(
    "not_interested",
    0.0006,
    [-0.7, -0.35, -0.2, -0.4, -0.2, 0.3, 0.7, -0.3, 0.1, 0.3, never],
    true,
  ),
  response(
    "mute_author",
    0.00013,
    [-0.6, -0.3, -0.3, -0.4, 0, 0.3, 0.7, -0.3, 0.3, 0.5, never],
    true,
  ),
  response(
    "block_author",
    0.00013,
    [-0.55, -0.25, -0.4, -0.6, 0, 0.1, 0.7, -0.2, 0.5, 0.8, never],
    true,
  ),
  response(
    "report",
    0.000032,
    [-0.35, -0.25, -0.3, -0.5, 0, 0.1, 0.7, -0.1, 0.4, 1.1, never],
    true,
  ),
  response("reply_engaged_by_author", 0.17, [0.2, 0, 0.5, 0.3, 0, 0, 0, 0, 0, 0, never]),
];

const indexOf = (head: HeadName): number => RESPONSES.findIndex((r) => r.head === head);
export const CLICK = indexOf("click");
export const FAVORITE = indexOf("favorite");
export const REPLY = indexOf("reply");
export const REPOST = indexOf("repost");
export const QUOTE = indexOf("quote");
export const PHOTO_EXPAND = indexOf("photo_expand");
export const VIDEO_VIEW = indexOf("video_view");
export const SHARE = indexOf("share");
export const FOLLOW_AUTHOR = indexOf("follow_author");
export const DWELL = indexOf("dwell");
export const NOT_INTERESTED = indexOf("not_interested");
export const MUTE_AUTHOR = indexOf("mute_author");
export const BLOCK_AUTHOR = indexOf("block_author");
export const REPORT = indexOf("report");
export const REPLY_ENGAGED = indexOf("reply_engaged_by_author");
