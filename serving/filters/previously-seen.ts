import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/**
 * Drops posts that the viewer has seen, reposts of them and replies to them.
 * Reads `repost_of_post_id` and `in_reply_to_post_id`; before those are hydrated it goes by the post's own id alone, so
 * it can run at the merge too: give the two different names.
 */
export function previouslySeen({ name = "previously_seen" } = {}): Filter<HomeQuery> {
  return {
    name,
    timeoutMs: 0,
    onFailure: "open",
    keep: (query, table) => {
      const repostOf = textColumn(table, "repost_of_post_id");
      const replyTo = textColumn(table, "in_reply_to_post_id");
      const seen = query.seenIds;
      return (row) => {
        if (seen.has(table.postIds[row] as string)) return "seen";
        const original = textAt(repostOf, row);
        if (original !== "" && seen.has(original)) return "a repost of a seen post";
        const parent = textAt(replyTo, row);
        return parent !== "" && seen.has(parent) ? "a reply to a seen post" : true;
      };
    },
  };
}
