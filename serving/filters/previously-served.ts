import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/**
 * Drops posts that were sent to the viewer lately, reposts of them and replies to them: what a reload or the next page
 * must not repeat although no impression of it has arrived. Reads the columns of `previouslySeen`, under the same terms.
 */
export function previouslyServed({ name = "previously_served" } = {}): Filter<HomeQuery> {
  return {
    name,
    timeoutMs: 0,
    onFailure: "open",
    keep: (query, table) => {
      const repostOf = textColumn(table, "repost_of_post_id");
      const replyTo = textColumn(table, "in_reply_to_post_id");
      const served = query.servedIds;
      return (row) => {
        if (served.has(table.postIds[row] as string)) return "served lately";
        const original = textAt(repostOf, row);
        if (original !== "" && served.has(original)) return "a repost of a post served lately";
        const parent = textAt(replyTo, row);
        return parent !== "" && served.has(parent) ? "a reply to a post served lately" : true;
      };
    },
  };
}
