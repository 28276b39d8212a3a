import type { PostStore, StoredPost } from "../../candidates/post-store.ts";
import type { SocialGraph } from "../../candidates/social-graph.ts";
import { labelRule } from "../filters/visibility.ts";

const forbids = labelRule();

interface ShownItem {
  readonly postId: string;
  readonly authorId: string;
}

/**
 * Tells whether a post may be shown to the viewer on a later page of its ranking: nobody concerned is blocked or muted by now, it is not
 * deleted, and its labels allow it. Asked when the ranking is stored, whose own last checks reach its first page only, and
 * again for each page.
 * It takes the post where a request under way has it in hand.
 */
export function mayShow(
  { posts, graph }: { readonly posts: PostStore; readonly graph: SocialGraph },
  viewerId: string,
): (item: ShownItem, post?: StoredPost) => boolean {
  const blocked = graph.blocked(viewerId);
  const blockedBy = graph.blockedBy(viewerId);
  const muted = graph.muted(viewerId);
  const followed = graph.following(viewerId);
  const avoided = (id: string): boolean => blocked.has(id) || blockedBy.has(id);
  return ({ postId, authorId }, post = posts.get(postId)) => {
    if (post === undefined) return false;
    for (const id of [authorId, post.repostOfAuthorId])
      if (id !== undefined && (avoided(id) || muted.has(id))) return false;
    if (post.quoteOfAuthorId !== undefined && avoided(post.quoteOfAuthorId)) return false;
    const inNetwork = authorId === viewerId || followed.has(authorId);
    return forbids(post.safetyLabels, inNetwork) === undefined;
  };
}
