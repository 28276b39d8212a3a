import {
  type CandidateTable,
  numberAt,
  numberColumn,
  textAt,
  textColumn,
} from "../pipeline/candidate-table.ts";
import {
  BASE_SCORE,
  contributionColumn,
  type HomeQuery,
  headColumn,
  type ModelStage,
} from "../pipeline/home-query.ts";
import type { Scorer } from "../pipeline/stages.ts";
import type { EffectiveWeights } from "../weights/weights.ts";

/**
 * The score of net value c under the published offset: net-negative posts stand below all others and nothing is below 0,
 * so that later multipliers below 1 lower every score. With `offset_epsilon` 0 it is c itself, our addition.
 *
 * Source: x-algorithm 2026, home-mixer/scorers/ranking_scorer.rs; the-algorithm 2023, NaviModelScorer.scala:
 * max(c, 0) if T = 0; (c + N)/T · ε if c < 0; c + ε otherwise.
 */
export function offsetScore(
  c: number,
  { params, negativeSum, total }: Pick<EffectiveWeights, "params" | "negativeSum" | "total">,
): number {
  const epsilon = params.offset_epsilon;
  if (epsilon === 0) return c;
  if (total === 0) return Math.max(c, 0);
  return c < 0 ? ((c + negativeSum) / total) * epsilon : c + epsilon;
}

/**
 * Scores each row by Σ p·w over a stage's head columns, offset. A head that the model lacks adds 0. Skipped without a model.
 * The heavy stage also writes `contribution_<head>` and `base_score`, from which explain is made.
 * Reads `mutual_follow`, `in_reply_to_post_id`, `repost_of_post_id`, `video_ms`.
 *
 * Source: x-algorithm 2026, home-mixer/scorers/ranking_scorer.rs.
 * @throws Error when there is no head column at all, so that the score before it stays
 */
export function weightedSum(stage: ModelStage): Scorer<HomeQuery> {
  return {
    name: `${stage}_weighted_sum`,
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => query.models[stage] !== undefined,
    score: (query, table) => {
      const { n } = table;
      const positive = new Float64Array(n);
      const negative = new Float64Array(n);
      const contributions: Record<string, Float64Array> = {};
      let found = 0;
      for (const { head, weight } of query.weights.heads) {
        const p = numberColumn(table, headColumn(stage, head.name));
        if (p === undefined) continue;
        found++;
        const contribution = new Float64Array(n);
        for (let row = 0; row < n; row++) contribution[row] = (p[row] as number) * weight;
        if (head.name === "reply") addMutualReplyBoost(query, table, p, contribution);
        if (head.name === "video_view") closeVideoGate(query, table, contribution);
        for (let row = 0; row < n; row++) {
          const term = contribution[row] as number;
          if (term < 0) negative[row] = (negative[row] as number) - term;
          else positive[row] = (positive[row] as number) + term;
        }
        contributions[contributionColumn(head.name)] = contribution;
      }
      if (found === 0 && query.weights.heads.length > 0)
        throw new Error(`no head of the ${stage} model has a weight, or it did not run`);

      const score = new Float64Array(n);
      for (let row = 0; row < n; row++)
        score[row] = offsetScore(
          (positive[row] as number) - (negative[row] as number),
          query.weights,
        );
      if (stage === "light") return { score };
      return { score, columns: { ...contributions, [BASE_SCORE]: score } };
    },
  };
}

/** A mutual follow's original post: replying there begins a conversation between people who know each other. */
function addMutualReplyBoost(
  query: HomeQuery,
  table: CandidateTable,
  p: ArrayLike<number>,
  contribution: Float64Array,
): void {
  const boost = query.weights.params.mutual_reply_boost;
  const mutual = numberColumn(table, "mutual_follow");
  if (boost === 0 || mutual === undefined) return;
  const replyTo = textColumn(table, "in_reply_to_post_id");
  const repostOf = textColumn(table, "repost_of_post_id");
  for (let row = 0; row < table.n; row++) {
    if (mutual[row] === 1 && textAt(replyTo, row) === "" && textAt(repostOf, row) === "")
      contribution[row] = (contribution[row] as number) + (p[row] as number) * boost;
  }
}

/** A video counts when it is longer than the minimum, strictly, and the viewer has fewer followers than the maximum. */
function closeVideoGate(
  { weights, viewerFollowerCount }: HomeQuery,
  table: CandidateTable,
  contribution: Float64Array,
): void {
  const { video_min_ms: minMs, video_max_viewer_followers: maxFollowers } = weights.params;
  if (maxFollowers > 0 && viewerFollowerCount >= maxFollowers) {
    contribution.fill(0);
    return;
  }
  if (minMs === 0) return;
  const videoMs = numberColumn(table, "video_ms");
  for (let row = 0; row < table.n; row++)
    if (!(numberAt(videoMs, row) > minMs)) contribution[row] = 0;
}
