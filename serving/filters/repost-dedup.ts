import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/** Keeps one of an original post and its reposts: the first row. Reads `repost_of_post_id`. */
export function repostDedup(): Filter<HomeQuery> {
  return {
    name: "repost_dedup",
    timeoutMs: 0,
    onFailure: "open",
    keep: (_query, table) => {
      const repostOf = textColumn(table, "repost_of_post_id");
      const kept = new Set<string>();
      return (row) => {
        const original = textAt(repostOf, row) || (table.postIds[row] as string);
        if (kept.has(original)) return "the same post is a candidate already";
        kept.add(original);
        return true;
      };
    },
  };
}
