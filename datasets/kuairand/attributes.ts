import { hash32 } from "../random.ts";

/**
 * How KuaiRand's columns become numbers. The code of a value depends on nothing but the value, so that imports of
 * different days, and a model served later, agree. A missing value has no number: the attribute is left out.
 * Source: KuaiRand's column descriptions, https://kuairand.com.
 */
export type Encoding = (text: string) => number | undefined;

/** A plain number; empty, "nan" and "UNKNOWN" are missing. */
export const number: Encoding = (text) => {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
};

/** 0 or 1; KuaiRand writes −124 for "not known". */
export const flag: Encoding = (text) => {
  const value = number(text);
  return value === 0 || value === 1 ? value : undefined;
};

/** The lower bound of a range such as "(250,500]", "[100,1k)", "500+" or "0": ordered as the ranges are. */
export const rangeStart: Encoding = (text) => {
  const match = /(\d+(?:\.\d+)?)(k|w)?/i.exec(text);
  if (!match) return undefined;
  const scale = { k: 1000, w: 10_000 }[match[2]?.toLowerCase() ?? ""] ?? 1;
  return Number(match[1]) * scale;
};

/** A name without an order: 24 bits of its hash, which a 32-bit float still holds exactly. */
export const category: Encoding = (text) =>
  text === "" || text === "UNKNOWN" ? undefined : hash32(0, text) >>> 8;

// Newcomers below returners below residents: ordered by how much a user is seen to use the app.
const ACTIVITY = [
  "day_new",
  "2_14_day_new",
  "30day_retention",
  "single_low_active",
  "low_active",
  "middle_active",
  "high_active",
  "full_active",
];

/** Place in the order of activity, 1–8; a degree that is not in the list is missing. */
export const activityDegree: Encoding = (text) => {
  const place = ACTIVITY.indexOf(text);
  return place < 0 ? undefined : place + 1;
};

/** Columns of `user_features*.csv` by name. */
export const USER_COLUMNS: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ["user_active_degree", activityDegree],
  ["is_lowactive_period", flag],
  ["is_live_streamer", flag],
  ["is_video_author", flag],
  ["follow_user_num", number],
  ["follow_user_num_range", rangeStart],
  ["fans_user_num", number],
  ["fans_user_num_range", rangeStart],
  ["friend_user_num", number],
  ["friend_user_num_range", rangeStart],
  ["register_days", number],
  ["register_days_range", rangeStart],
  ...Array.from({ length: 18 }, (_, i): [string, Encoding] => [`onehot_feat${i}`, number]),
]);

/** Columns of `video_features_basic*.csv` that become attributes; id, author, date, duration and tags are fields. */
export const VIDEO_COLUMNS: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ["video_type", category],
  ["upload_type", category],
  ["visible_status", number],
  ["server_width", number],
  ["server_height", number],
  ["music_id", number],
  ["music_type", number],
]);
