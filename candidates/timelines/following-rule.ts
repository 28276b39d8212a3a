import { eligible } from "../in-network.ts";
import type { PostStore, StoredPost } from "../post-store.ts";
import type { SocialGraph } from "../social-graph.ts";

/** The posts and relations that a timeline is judged by. */
export interface TimelineFacts {
  readonly posts: PostStore;
  readonly graph: SocialGraph;
}

/**
 * Whether the post stands in this viewer's following timeline, as things are now: by a followed account, neither muted nor blocked
 * either way (a reposted or quoted author too), and a reply or repost only as candidates/in-network.ts takes them.
 * The last word on every entry that is read, wherever it comes from.
 */
export function showsTo(
  viewerId: string,
  post: StoredPost,
  { posts, graph }: TimelineFacts,
): boolean {
  const followedIds = graph.following(viewerId);
  if (!followedIds.has(post.authorId) || hides(graph, viewerId, post.authorId)) return false;
  const { repostOfAuthorId, quoteOfAuthorId } = post;
  if (repostOfAuthorId !== undefined && hides(graph, viewerId, repostOfAuthorId)) return false;
  if (quoteOfAuthorId !== undefined && hides(graph, viewerId, quoteOfAuthorId)) return false;
  return eligible(posts, post, { viewerId, followedIds });
}

/** Whether nothing by the author is shown to the viewer. */
export function hides(graph: SocialGraph, viewerId: string, authorId: string): boolean {
  return (
    graph.muted(viewerId).has(authorId) ||
    graph.blocked(viewerId).has(authorId) ||
    graph.blockedBy(viewerId).has(authorId)
  );
}

/**
 * Whether any follower may ever be shown the post: what is pushed. A reply's verdict can depend on whom the reader follows when reading,
 * and on a parent that arrives later, so only what no reader can be shown is held back: replies further down than the second level, and
 * replies to reposts.
 */
export function mayBeShown(posts: PostStore, post: StoredPost): boolean {
  if (post.kind !== "reply") return true;
  const parent = posts.parentOf(post);
  if (parent === undefined || parent.kind === "original") return true;
  return parent.inReplyToPostId === post.conversationId && post.inReplyToAuthorId !== undefined;
}
