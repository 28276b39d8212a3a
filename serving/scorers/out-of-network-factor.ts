import { numberAt, numberColumn, textAt, textColumn } from "../pipeline/candidate-table.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Scorer } from "../pipeline/stages.ts";

/**
 * Lowers strangers' posts by `out_of_network_factor` and followed authors' replies and reposts by
 * `in_network_reply_repost_factor`. Where `in_network` is unknown, and where the score is negative, it stays.
 * Reads `in_network`, `in_reply_to_post_id`, `repost_of_post_id`.
 *
 * Source: x-algorithm 2026, ranking_scorer.rs, where both are one factor of .75.
 */
export function outOfNetworkFactor(): Scorer<HomeQuery> {
  return {
    name: "out_of_network",
    timeoutMs: 0,
    onFailure: "open",
    score: (query, table) => {
      const params = paramsOf(query);
      const inNetwork = numberColumn(table, "in_network");
      const replyTo = textColumn(table, "in_reply_to_post_id");
      const repostOf = textColumn(table, "repost_of_post_id");
      const multiplier = new Float64Array(table.n).fill(1);
      for (let row = 0; row < table.n; row++) {
        const known = numberAt(inNetwork, row);
        if ((table.score[row] as number) < 0) continue;
        if (known === 0) multiplier[row] = params.out_of_network_factor;
        else if (known === 1 && (textAt(replyTo, row) !== "" || textAt(repostOf, row) !== ""))
          multiplier[row] = params.in_network_reply_repost_factor;
      }
      return { multiplier };
    },
  };
}
