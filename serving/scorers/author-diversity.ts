import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Scorer } from "../pipeline/stages.ts";
import { topRows } from "../pipeline/top-rows.ts";

/** What the k-th further post of an author keeps of its score (k = 0: all): (1 − floor) · decay^k + floor. */
export function diversityMultiplier(k: number, decay: number, floor: number): number {
  return (1 - floor) * decay ** k + floor;
}

/**
 * Lowers an author's further posts by the number of posts of the same author that rank above, in the order of the score
 * so far. A negative score stays: a factor below 1 would raise it.
 *
 * Source: x-algorithm 2026, ranking_scorer.rs; the-algorithm 2023, RescoringFactorProvider.scala.
 */
export function authorDiversity(): Scorer<HomeQuery> {
  return {
    name: "author_diversity",
    timeoutMs: 0,
    onFailure: "open",
    score: (query, table) => {
      const { diversity_decay: decay, diversity_floor: floor } = paramsOf(query);
      const above = new Map<string, number>();
      const multiplier = new Float64Array(table.n);
      for (const row of topRows(table.score, table.postIds, table.n)) {
        const author = table.authorIds[row] as string;
        const k = above.get(author) ?? 0;
        above.set(author, k + 1);
        multiplier[row] =
          (table.score[row] as number) < 0 ? 1 : diversityMultiplier(k, decay, floor);
      }
      return { multiplier };
    },
  };
}
