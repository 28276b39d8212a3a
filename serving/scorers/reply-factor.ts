import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Scorer } from "../pipeline/stages.ts";

/**
 * Lowers replies by `reply_factor`; skipped when that is 1. A negative score stays. Reads `in_reply_to_post_id`.
 *
 * Source: the-algorithm 2023, RescoringFactorProvider.scala: .75 where in_reply_to is set.
 */
export function replyFactor(): Scorer<HomeQuery> {
  return {
    name: "reply",
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => paramsOf(query).reply_factor !== 1,
    score: (query, table) => {
      const factor = paramsOf(query).reply_factor;
      const replyTo = textColumn(table, "in_reply_to_post_id");
      const multiplier = new Float64Array(table.n).fill(1);
      for (let row = 0; row < table.n; row++) {
        if (textAt(replyTo, row) !== "" && !((table.score[row] as number) < 0))
          multiplier[row] = factor;
      }
      return { multiplier };
    },
  };
}
