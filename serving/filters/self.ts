import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/** Drops the viewer's own posts. */
export function self(): Filter<HomeQuery> {
  return {
    name: "self",
    timeoutMs: 0,
    onFailure: "open",
    keep: (query, table) => (row) => table.authorIds[row] !== query.viewerId,
  };
}
