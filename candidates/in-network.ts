import { compareIds } from "../datasets/ids.ts";
import type { PostStore, StoredPost } from "./post-store.ts";

/**
 * Source of every number: x-algorithm 2026, thunder/. Its limit of 10,000 excluded ids bounds a request on the wire; here
 * they are a set in memory, all of which is respected.
 */
export const IN_NETWORK_LIMITS = {
  /** Posts returned, and of a request for videos only. */
  results: 1200,
  videoResults: 600,
  /** Followed accounts read of a request. */
  follows: 10_000,
  /** Kept of one author. */
  originals: 50,
  secondary: 30,
  videos: 100,
  /** Posts looked at of one author and list, beyond those excluded. */
  scanned: 500,
} as const;

export interface InNetworkRequest {
  readonly viewerId: string;
  readonly followedIds: ReadonlySet<string>;
  readonly excludedPostIds: { has(postId: string): boolean };
  readonly nowMs: number;
  readonly maxAgeHours: number;
  readonly limit: number;
  readonly videosOnly?: boolean;
}

/**
 * The newest posts by the accounts that the viewer follows, newest first (ties by id).
 *
 * A reply is taken only when it answers an original post, or when it answers a followed account whose reply stands
 * directly under the root of the same conversation; a repost of the viewer's own post is not taken.
 * Source: x-algorithm 2026, thunder/posts/post_store.rs, get_posts_from_map.
 */
export function inNetworkPosts(store: PostStore, request: InNetworkRequest): StoredPost[] {
  const { videosOnly = false } = request;
  const limit = Math.min(
    request.limit,
    videosOnly ? IN_NETWORK_LIMITS.videoResults : IN_NETWORK_LIMITS.results,
  );
  const oldestMs = request.nowMs - request.maxAgeHours * 3_600_000;
  const found: StoredPost[] = [];
  let follows = 0;
  for (const authorId of request.followedIds) {
    if (follows++ >= IN_NETWORK_LIMITS.follows) break;
    const lists = store.byAuthor(authorId);
    if (videosOnly) {
      take(lists.videos, IN_NETWORK_LIMITS.videos);
    } else {
      take(lists.originals, IN_NETWORK_LIMITS.originals);
      take(lists.secondary, IN_NETWORK_LIMITS.secondary);
    }
  }
  return newest(found, limit);

  function take(list: readonly StoredPost[], most: number): void {
    let taken = 0;
    let scanned = 0;
    for (let i = list.length - 1; i >= 0 && taken < most; i--) {
      const post = list[i] as StoredPost;
      if (post.createdAtMs < oldestMs) break;
      if (post.createdAtMs > request.nowMs || request.excludedPostIds.has(post.postId)) continue;
      if (scanned++ === IN_NETWORK_LIMITS.scanned) break;
      if (!eligible(store, post, request)) continue;
      found.push(post);
      taken++;
    }
  }
}

/** Whether the rule above lets this post by a followed account through. */
export function eligible(
  store: PostStore,
  post: StoredPost,
  request: Pick<InNetworkRequest, "viewerId" | "followedIds">,
): boolean {
  if (post.kind === "repost") return post.repostOfAuthorId !== request.viewerId;
  if (post.kind !== "reply") return true;
  const parent = store.parentOf(post);
  if (parent === undefined) return false;
  if (parent.kind === "original") return true;
  return (
    parent.inReplyToPostId === post.conversationId &&
    post.inReplyToAuthorId !== undefined &&
    request.followedIds.has(post.inReplyToAuthorId)
  );
}

/** The `limit` newest, newest first, ties by id. */
function newest(posts: readonly StoredPost[], limit: number): StoredPost[] {
  const n = posts.length;
  if (n === 0) return [];
  // Sorting numbers natively is several times as fast as comparing posts: age and place share one exact integer.
  let latestMs = 0;
  for (const { createdAtMs } of posts) latestMs = Math.max(latestMs, createdAtMs);
  const keys = new Float64Array(n);
  for (let i = 0; i < n; i++) keys[i] = (latestMs - (posts[i] as StoredPost).createdAtMs) * n + i;
  keys.sort();
  const sorted: StoredPost[] = [];
  let tied = 0;
  for (let i = 0; i < n; i++) {
    const post = posts[(keys[i] as number) % n] as StoredPost;
    const before = sorted[tied];
    if (before !== undefined && before.createdAtMs !== post.createdAtMs) {
      orderTies(sorted, tied);
      if (sorted.length >= limit) return sorted.slice(0, limit);
      tied = sorted.length;
    }
    sorted.push(post);
  }
  orderTies(sorted, tied);
  return sorted.length > limit ? sorted.slice(0, limit) : sorted;
}

/** Orders the posts from `start` on, all of one moment, by id. */
function orderTies(posts: StoredPost[], start: number): void {
  if (posts.length - start < 2) return;
  const tied = posts.splice(start).sort((a, b) => compareIds(a.postId, b.postId));
  for (const post of tied) posts.push(post);
}
