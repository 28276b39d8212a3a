import type { PostStore } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import { labelRule } from "../filters/visibility.ts";

const forbids = labelRule();

/**
 * Whether a post may be shown on a later page of its ranking: nobody concerned is blocked or muted by now, it is not
 * deleted, and its labels allow it. Asked when the ranking is stored, whose own last checks reach its first page only, and
 * again for each page.
 */
export function mayShow(
  { posts, graph }: { readonly posts: PostStore; readonly graph: SocialGraph },
  viewerId: string,
  { postId, authorId }: { readonly postId: string; readonly authorId: string },
): boolean {
  const post = posts.get(postId);
  if (post === undefined) return false;
  const blocked = graph.blocked(viewerId);
  const blockedBy = graph.blockedBy(viewerId);
  const muted = graph.muted(viewerId);
  for (const id of [authorId, post.repostOfAuthorId])
    if (id !== undefined && (blocked.has(id) || blockedBy.has(id) || muted.has(id))) return false;
  const quoted = post.quoteOfAuthorId;
  if (quoted !== undefined && (blocked.has(quoted) || blockedBy.has(quoted))) return false;
  const inNetwork = authorId === viewerId || graph.following(viewerId).has(authorId);
  return forbids(post.safetyLabels, inNetwork) === undefined;
}
