import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/**
 * Drops posts that a block or a mute forbids: the author or the reposted author is blocked, muted or blocks the viewer;
 * the quoted author is blocked or blocks the viewer. Reads `repost_of_author_id` and `quote_of_author_id`.
 *
 * Source: x-algorithm 2026, home-mixer/filters/author_socialgraph_filter.rs; that reposted authors may also be muted or
 * block the viewer is from its visibility rules.
 */
export function authorRelations(): Filter<HomeQuery> {
  return {
    name: "author_relations",
    timeoutMs: 0,
    onFailure: "closed",
    keep: (query, table) => {
      const { mutedIds, blockedIds, blockedByIds } = query;
      const repostOf = textColumn(table, "repost_of_author_id");
      const quoteOf = textColumn(table, "quote_of_author_id");
      return (row) => {
        const author = table.authorIds[row] as string;
        if (blockedIds.has(author)) return "author blocked";
        if (mutedIds.has(author)) return "author muted";
        if (blockedByIds.has(author)) return "author blocks the viewer";
        const reposted = textAt(repostOf, row);
        if (reposted !== "") {
          if (blockedIds.has(reposted)) return "reposted author blocked";
          if (mutedIds.has(reposted)) return "reposted author muted";
          if (blockedByIds.has(reposted)) return "reposted author blocks the viewer";
        }
        const quoted = textAt(quoteOf, row);
        if (quoted !== "") {
          if (blockedIds.has(quoted)) return "quoted author blocked";
          if (blockedByIds.has(quoted)) return "quoted author blocks the viewer";
        }
        return true;
      };
    },
  };
}
