import { random } from "../../datasets/random.ts";
import type { TrainingRows } from "../../features/rows.ts";
import type { TowerLog } from "../tower-log.ts";

/** What stands at a place of a list where nothing is. */
export const EMPTY_PLACE = -0x80000000;

/**
 * For every request a list of posts out of the viewer's network, some that were shown at it and some by lot, with the
 * share of the list's worth that a ranker gives to each: what towers are taught.
 */
export interface TowerLists {
  /** Places of a list. */
  readonly places: number;
  /** [users of the log, places]: an impression's row, −1 − row of a post by lot, or `EMPTY_PLACE`. */
  readonly posts: Int32Array;
  /** [users of the log, places]: sums to 1 in each list, all 0 in one without posts; 0 at empty places. */
  readonly target: Float32Array;
}

/** Draws the posts of every request of rows [from, to): at most `shown` of its impressions, and all its posts by lot. */
export function drawLists(
  rows: TrainingRows,
  log: TowerLog,
  from: number,
  to: number,
  shown: number,
  seed: number,
): Pick<TowerLists, "places" | "posts"> {
  const lots = log.lotsPerRequest;
  const places = shown + lots;
  const posts = new Int32Array(log.users.n * places).fill(EMPTY_PLACE);
  const met = new Int32Array(log.users.n);
  const draws = random(seed, "lists");
  for (let row = from; row < to; row++) {
    const user = log.userOf[row] as number;
    if (rows.inNetwork[row] === 1) continue;
    // Reservoir sampling: each of a request's impressions stays with the same probability.
    const count = ++met[user]!;
    const place = count <= shown ? count - 1 : draws.below(count);
    if (place < shown) posts[user * places + place] = row;
  }
  const follows = log.lotFeatureNames.indexOf("user_author.follows");
  const d = log.lotFeatureNames.length;
  for (let user = 0; user < log.users.n; user++) {
    if (met[user] === 0) continue;
    for (let i = 0; i < lots; i++) {
      const lot = user * lots + i;
      if (follows >= 0 && log.lotFeatures[lot * d + follows] === 1) continue;
      posts[user * places + shown + i] = -1 - lot;
    }
  }
  return { places, posts };
}

/**
 * The lists with each post's share: its worth to the power of `sharpness`, in proportion.
 * @param worth > 0, of each place [users, places]; at empty places whatever it is
 */
export function teachLists(
  { places, posts }: Pick<TowerLists, "places" | "posts">,
  worth: Float32Array,
  sharpness: number,
): TowerLists {
  const target = new Float32Array(posts.length);
  for (let start = 0; start < posts.length; start += places) {
    let sum = 0;
    for (let at = start; at < start + places; at++) {
      if (posts[at] === EMPTY_PLACE) continue;
      target[at] = (worth[at] as number) ** sharpness;
      sum += target[at] as number;
    }
    if (sum > 0) for (let at = start; at < start + places; at++) target[at]! /= sum;
  }
  return { places, posts, target };
}
