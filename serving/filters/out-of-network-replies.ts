import { numberAt, numberColumn, textAt, textColumn } from "../pipeline/candidate-table.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Filter } from "../pipeline/stages.ts";

/**
 * Drops strangers' replies and reposts, and replies whose conversation is unknown. On when the parameter
 * `drop_out_of_network_replies` is 1. Reads `in_network`, `in_reply_to_post_id`, `repost_of_post_id`, `conversation_id`;
 * an unknown `in_network` counts as a stranger.
 *
 * Source: x-algorithm 2026, home-mixer/filters/oon_retweet_reply_filter.rs.
 */
export function outOfNetworkReplies(): Filter<HomeQuery> {
  return {
    name: "out_of_network_replies",
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => paramsOf(query).drop_out_of_network_replies === 1,
    keep: (_query, table) => {
      const inNetwork = numberColumn(table, "in_network");
      const replyTo = textColumn(table, "in_reply_to_post_id");
      const repostOf = textColumn(table, "repost_of_post_id");
      const conversation = textColumn(table, "conversation_id");
      return (row) => {
        const isReply = textAt(replyTo, row) !== "";
        if (isReply && textAt(conversation, row) === "")
          return "a reply in an unknown conversation";
        if (numberAt(inNetwork, row) === 1) return true;
        if (isReply) return "a stranger's reply";
        return textAt(repostOf, row) === "" || "a stranger's repost";
      };
    },
  };
}
