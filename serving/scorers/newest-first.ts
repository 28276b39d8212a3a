import { numberAt, numberColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Scorer } from "../pipeline/stages.ts";

/**
 * Scores a row by its time of creation. The order of the Following timeline, and what a ranked one falls back to when it
 * stands before models that fail. Reads `created_at_ms`.
 */
export function newestFirst(): Scorer<HomeQuery> {
  return {
    name: "newest_first",
    timeoutMs: 0,
    onFailure: "open",
    score: (_query, table) => {
      const createdAt = numberColumn(table, "created_at_ms");
      const score = new Float64Array(table.n);
      for (let row = 0; row < table.n; row++) score[row] = numberAt(createdAt, row);
      return { score };
    },
  };
}
