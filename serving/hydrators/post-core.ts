import type { PostStore, StoredPost } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import type { CandidateTable } from "../pipeline/candidate-table.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Hydrator } from "../pipeline/stages.ts";

/** The post of a row as its source had it; undefined where the source had only its id. */
export function postInHand({ inHand }: CandidateTable, row: number): StoredPost | undefined {
  return inHand?.[row] as StoredPost | undefined;
}

/** Core data of every candidate from the post store, and how its author stands to the viewer. */
export function postCore(posts: PostStore, graph: SocialGraph): Hydrator<HomeQuery> {
  return {
    name: "post_core",
    timeoutMs: 0,
    onFailure: "required",
    hydrate: (query, table) => {
      const n = table.n;
      const createdAtMs = new Float64Array(n).fill(Number.NaN);
      const videoMs = new Float64Array(n).fill(Number.NaN);
      const inNetwork = new Float32Array(n);
      const mutualFollow = new Float32Array(n);
      const hasPhoto = new Float32Array(n);
      const hasVideo = new Float32Array(n);
      const hasQuote = new Float32Array(n);
      const text = query.mutedKeywords.length > 0 ? new Array<string>(n).fill("") : undefined;
      const inReplyTo = new Array<string>(n).fill("");
      const conversation = new Array<string>(n).fill("");
      const repostOf = new Array<string>(n).fill("");
      const repostOfAuthor = new Array<string>(n).fill("");
      const quoteOfAuthor = new Array<string>(n).fill("");
      const safetyLabels = new Array<string>(n).fill("");
      // Fewer accounts are followed than posts are looked at.
      const mutual = new Set<string>();
      for (const authorId of query.followedIds)
        if (graph.following(authorId).has(query.viewerId)) mutual.add(authorId);
      for (let row = 0; row < n; row++) {
        const post = postInHand(table, row) ?? posts.get(table.postIds[row] as string);
        if (post === undefined) continue;
        const followed = query.followedIds.has(post.authorId);
        createdAtMs[row] = post.createdAtMs;
        videoMs[row] = post.media === "video" ? post.videoMs : Number.NaN;
        inNetwork[row] = followed || post.authorId === query.viewerId ? 1 : 0;
        mutualFollow[row] = followed && mutual.has(post.authorId) ? 1 : 0;
        hasPhoto[row] = post.media === "photo" ? 1 : 0;
        hasVideo[row] = post.media === "video" ? 1 : 0;
        hasQuote[row] = post.quoteOfPostId === undefined ? 0 : 1;
        if (text !== undefined) text[row] = post.text;
        inReplyTo[row] = post.inReplyToPostId ?? "";
        conversation[row] = post.conversationId;
        repostOf[row] = post.repostOfPostId ?? "";
        repostOfAuthor[row] = post.repostOfAuthorId ?? "";
        quoteOfAuthor[row] = post.quoteOfAuthorId ?? "";
        if (post.safetyLabels.length > 0) safetyLabels[row] = post.safetyLabels.join("\n");
      }
      return {
        columns: {
          created_at_ms: createdAtMs,
          video_ms: videoMs,
          in_network: inNetwork,
          mutual_follow: mutualFollow,
          has_photo: hasPhoto,
          has_video: hasVideo,
          has_quote: hasQuote,
          ...(text && { text }),
          in_reply_to_post_id: inReplyTo,
          conversation_id: conversation,
          repost_of_post_id: repostOf,
          repost_of_author_id: repostOfAuthor,
          quote_of_author_id: quoteOfAuthor,
          safety_labels: safetyLabels,
        },
      };
    },
  };
}
