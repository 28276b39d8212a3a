import { numberAt, numberColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/** Drops posts about which the post store knows nothing: no author, or no time of creation. */
export function missingCore(): Filter<HomeQuery> {
  return {
    name: "missing_core",
    timeoutMs: 0,
    onFailure: "closed",
    keep: (_query, table) => {
      const createdAt = numberColumn(table, "created_at_ms");
      return (row) => {
        const author = table.authorIds[row];
        if (author === "" || author === "0") return "no author";
        return Number.isNaN(numberAt(createdAt, row)) ? "unknown to the post store" : true;
      };
    },
  };
}
