import type { Interactions } from "./interactions.ts";
import { type Recommender, topItems } from "./recommender.ts";

/** The same for everybody: posts by Σ weight · 2^(−age ÷ half-life), most popular first. */
export function popularity(
  { postIds, posts, weights, timeMs }: Interactions,
  { halfLifeDays, nowMs }: { readonly halfLifeDays: number; readonly nowMs: number },
): Recommender {
  const rate = Math.LN2 / (halfLifeDays * 86_400_000);
  const scores = new Float64Array(postIds.length);
  for (let e = 0; e < posts.length; e++)
    scores[posts[e] as number]! +=
      (weights[e] as number) * Math.exp(-rate * (nowMs - (timeMs[e] as number)));
  return {
    recommend: (_userId, _nowMs, k, exclude) =>
      topItems(scores, k, (item) => exclude.has(postIds[item] as string)).map(
        (item) => postIds[item] as string,
      ),
  };
}
