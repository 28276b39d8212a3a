import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Selector } from "../pipeline/stages.ts";
import { topRows } from "../pipeline/top-rows.ts";

/** Best score first; what has no finite score comes last, ties by post id. */
export function byScore(): Selector<HomeQuery> {
  return {
    name: "by_score",
    timeoutMs: 0,
    onFailure: "required",
    select: (_query, table) => topRows(table.score, table.postIds, table.n),
  };
}
