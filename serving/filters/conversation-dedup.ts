import { textAt, textColumn } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/**
 * Keeps the best of each conversation: the first row, so it belongs after selection, where rows come best first.
 * A repost belongs to the conversation of what it reposts. Reads `conversation_id` and `repost_of_post_id`.
 */
export function conversationDedup(): Filter<HomeQuery> {
  return {
    name: "conversation_dedup",
    timeoutMs: 0,
    onFailure: "open",
    keep: (_query, table) => {
      const conversation = textColumn(table, "conversation_id");
      const repostOf = textColumn(table, "repost_of_post_id");
      const kept = new Set<string>();
      return (row) => {
        const own = table.postIds[row] as string;
        const stated = textAt(conversation, row);
        // A repost that states only itself as conversation still shows what it reposts.
        const root = (stated === own ? "" : stated) || textAt(repostOf, row) || own;
        if (kept.has(root)) return "a better post of this conversation is above";
        kept.add(root);
        return true;
      };
    },
  };
}
