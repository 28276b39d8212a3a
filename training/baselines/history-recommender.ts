import {
  type HistoryTowerOptions,
  type HistoryTowers,
  trainHistoryTowers,
} from "../trainers/history-towers.ts";
import type { Interactions } from "./interactions.ts";
import { type Recommender, topItems } from "./recommender.ts";

export interface HistoryRecommenderOptions extends HistoryTowerOptions {
  readonly nowMs: number;
  /** Half-life of what counts as of late, and of what it is compared with. */
  readonly recentDays: number;
  readonly usualDays: number;
  /** A post's bias rises by so much for each time that it is e times as welcome of late as usual. */
  readonly trend: number;
}

/** Added to what was welcomed of late and usually: posts that hardly anybody acted on have no trend. */
const RECENT_PRIOR = 0.5;
const USUAL_PRIOR = 20;

/**
 * Our towers of histories: a viewer's vector from all that the viewer acted on before, a post's from training, with how
 * much more it is welcomed of late than usual in its bias. A viewer without history gets the posts of the largest bias.
 */
export async function historyRecommender(
  interactions: Interactions,
  options: HistoryRecommenderOptions,
): Promise<Recommender> {
  const { userIds, postIds, starts, posts, weights } = interactions;
  const towers = await trainHistoryTowers(
    { viewers: userIds.length, posts: postIds.length, starts, post: posts, weight: weights },
    options,
  );
  return towersRecommender(towers, interactions, trendOf(interactions, options));
}

/** ln of how much of its welcome a post got of late [posts], times `trend`. */
export function trendOf(
  { postIds, posts, weights, timeMs }: Interactions,
  { nowMs, recentDays, usualDays, trend }: HistoryRecommenderOptions,
): Float64Array {
  const recent = new Float64Array(postIds.length).fill(RECENT_PRIOR);
  const usual = new Float64Array(postIds.length).fill(USUAL_PRIOR);
  for (let e = 0; e < posts.length; e++) {
    const days = (nowMs - (timeMs[e] as number)) / 86_400_000;
    recent[posts[e] as number]! += (weights[e] as number) * 2 ** (-days / recentDays);
    usual[posts[e] as number]! += (weights[e] as number) * 2 ** (-days / usualDays);
  }
  return recent.map((value, i) => trend * Math.log(value / (usual[i] as number)));
}

/** Recommends by the towers' product plus `trend` [posts]. */
export function towersRecommender(
  { dimension: d, history, posts: vectors, bias }: HistoryTowers,
  { userIndex, postIds, starts, posts, weights }: Interactions,
  trend: Float64Array,
): Recommender {
  const scores = new Float64Array(postIds.length);
  const viewer = new Float64Array(d);
  return {
    recommend: (userId, _nowMs, k, exclude) => {
      viewer.fill(0);
      const user = userIndex.get(userId);
      let square = 0;
      if (user !== undefined)
        for (let e = starts[user] as number; e < (starts[user + 1] as number); e++) {
          const weight = Math.sqrt(weights[e] as number);
          square += weight * weight;
          const from = (posts[e] as number) * d;
          for (let j = 0; j < d; j++) viewer[j]! += weight * (history[from + j] as number);
        }
      const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
      for (let i = 0; i < scores.length; i++) {
        let dot = 0;
        for (let j = 0; j < d; j++) dot += (viewer[j] as number) * (vectors[i * d + j] as number);
        scores[i] = scale * dot + (bias[i] as number) + (trend[i] as number);
      }
      return topItems(scores, k, (item) => exclude.has(postIds[item] as string)).map(
        (item) => postIds[item] as string,
      );
    },
  };
}
