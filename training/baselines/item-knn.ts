import { byPost, type Interactions } from "./interactions.ts";
import { type Recommender, topItems } from "./recommender.ts";

export interface ItemKnnOptions {
  /** Neighbours kept of each post. */
  readonly neighbours: number;
  /** Added to the denominator of the cosine: similarity of posts that few viewers share is held back. */
  readonly shrinkage: number;
  /** An interaction of this age counts half in a viewer's profile. */
  readonly halfLifeDays: number;
  readonly nowMs: number;
}

/**
 * Item-based nearest neighbours: similarity of posts i and j is Σ_u w_ui w_uj ÷ (‖w_i‖ ‖w_j‖ + shrinkage), a viewer's
 * score of j the sum of similarities to the viewer's posts, each by weight and age. Unknown viewers get the posts of the
 * largest total weight.
 * Source: Sarwar, Karypis, Konstan, Riedl (2001), "Item-based collaborative filtering recommendation algorithms", §3;
 * shrinkage as in Bell and Koren (2007), "Scalable collaborative filtering with jointly derived neighborhood
 * interpolation weights", §3; decay as in Ding and Li (2005), "Time weight collaborative filtering".
 */
export function itemKnn(interactions: Interactions, options: ItemKnnOptions): Recommender {
  const { postIds, userIndex, starts, posts, weights, timeMs } = interactions;
  const { items, similarities } = neighboursOf(interactions, options);
  const rate = Math.LN2 / (options.halfLifeDays * 86_400_000);
  const totals = new Float64Array(postIds.length);
  for (let e = 0; e < posts.length; e++) totals[posts[e] as number]! += weights[e] as number;
  const scores = new Float64Array(postIds.length);
  return {
    recommend: (userId, _nowMs, k, exclude) => {
      const excluded = (item: number): boolean => exclude.has(postIds[item] as string);
      const user = userIndex.get(userId);
      const ids = (found: readonly number[]): string[] =>
        found.map((item) => postIds[item] as string);
      if (user === undefined) return ids(topItems(totals, k, excluded));
      scores.fill(0);
      for (let e = starts[user] as number; e < (starts[user + 1] as number); e++) {
        const age = options.nowMs - (timeMs[e] as number);
        const weight = (weights[e] as number) * Math.exp(-rate * age);
        const from = (posts[e] as number) * options.neighbours;
        for (let n = from; n < from + options.neighbours && (items[n] as number) >= 0; n++)
          scores[items[n] as number]! += weight * (similarities[n] as number);
      }
      const known = topItems(scores, k, (item) => scores[item] === 0 || excluded(item));
      if (known.length === k) return ids(known);
      const chosen = new Set(known);
      const rest = topItems(totals, k - known.length, (i) => chosen.has(i) || excluded(i));
      return ids([...known, ...rest]);
    },
  };
}

/** The nearest posts of each post [posts, neighbours], nearest first; −1 ends a shorter list. */
function neighboursOf(
  interactions: Interactions,
  { neighbours, shrinkage }: ItemKnnOptions,
): { readonly items: Int32Array; readonly similarities: Float32Array } {
  const { postIds, starts, posts, weights } = interactions;
  const columns = byPost(interactions);
  const norms = new Float64Array(postIds.length);
  for (let e = 0; e < posts.length; e++) norms[posts[e] as number]! += (weights[e] as number) ** 2;
  for (let i = 0; i < norms.length; i++) norms[i] = Math.sqrt(norms[i] as number);
  const items = new Int32Array(postIds.length * neighbours).fill(-1);
  const similarities = new Float32Array(postIds.length * neighbours);
  const shared = new Float64Array(postIds.length);
  for (let i = 0; i < postIds.length; i++) {
    shared.fill(0);
    for (let c = columns.starts[i] as number; c < (columns.starts[i + 1] as number); c++) {
      const user = columns.users[c] as number;
      const weight = weights[columns.entries[c] as number] as number;
      for (let e = starts[user] as number; e < (starts[user + 1] as number); e++)
        shared[posts[e] as number]! += weight * (weights[e] as number);
    }
    for (let j = 0; j < shared.length; j++)
      if (shared[j] !== 0) shared[j]! /= (norms[i] as number) * (norms[j] as number) + shrinkage;
    topItems(shared, neighbours, (j) => j === i || shared[j] === 0).forEach((j, n) => {
      items[i * neighbours + n] = j;
      similarities[i * neighbours + n] = shared[j] as number;
    });
  }
  return { items, similarities };
}
