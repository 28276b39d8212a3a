import { compareIds } from "../datasets/ids.ts";
import type { TimedPosts } from "./post-list.ts";
import type { AuthorList, PostStore, StoredPost } from "./post-store.ts";

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
  // Step by step for all, and not author by author or post by post: short loops that look at memory all over the place wait for
  // many places at once, long ones for one after another.
  const authors: Readonly<Record<AuthorList, TimedPosts>>[] = [];
  for (const authorId of request.followedIds) {
    if (authors.length >= IN_NETWORK_LIMITS.follows) break;
    authors.push(store.byAuthor(authorId));
  }
  const lists: TimedPosts[] = [];
  const limits: number[] = [];
  for (let i = 0; i < authors.length; i++) {
    const { originals, secondary, videos } = authors[i] as Readonly<Record<AuthorList, TimedPosts>>;
    if (videosOnly) add(videos, IN_NETWORK_LIMITS.videos);
    else {
      add(originals, IN_NETWORK_LIMITS.originals);
      add(secondary, IN_NETWORK_LIMITS.secondary);
    }
  }
  const posts: StoredPost[] = [];
  /** Of each of `posts`, epoch ms. */
  const times: number[] = [];
  for (let i = 0; i < lists.length; i++) take(lists[i] as TimedPosts, limits[i] as number);
  const postIds: string[] = [];
  for (let i = 0; i < posts.length; i++) postIds.push((posts[i] as StoredPost).postId);
  // Brings the ids themselves, which are hashed next.
  let digits = 0;
  for (let i = 0; i < postIds.length; i++) digits += (postIds[i] as string).length;
  if (digits === 0) return [];
  let kept = 0;
  for (let i = 0; i < postIds.length; i++) {
    if (request.excludedPostIds.has(postIds[i] as string)) continue;
    posts[kept] = posts[i] as StoredPost;
    times[kept++] = times[i] as number;
  }
  const judged = kept;
  kept = 0;
  for (let i = 0; i < judged; i++) {
    const post = posts[i] as StoredPost;
    // What `takeSome` has judged once more, with the same verdict.
    if (!eligible(store, post, request)) continue;
    posts[kept] = post;
    times[kept++] = times[i] as number;
  }
  posts.length = kept;
  return newest(posts, times, limit);

  function add(list: TimedPosts, most: number): void {
    if (list.times.length === 0) return;
    lists.push(list);
    limits.push(most);
  }

  /** Takes all that is young enough where that is within the limit, to be judged with the others'. */
  function take(list: TimedPosts, most: number): void {
    const { times: created } = list;
    let to = created.length;
    while (to > 0 && (created[to - 1] as number) > request.nowMs) to--;
    let from = to;
    while (from > 0 && (created[from - 1] as number) >= oldestMs) {
      from--;
      if (to - from > most) {
        takeSome(list, to, most);
        return;
      }
    }
    for (let i = from; i < to; i++) {
      posts.push(list.posts[i] as StoredPost);
      times.push(created[i] as number);
    }
  }

  /** Takes the newest that are eligible. @param to where those of the future begin */
  function takeSome(list: TimedPosts, to: number, most: number): void {
    let taken = 0;
    let scanned = 0;
    for (let i = to - 1; i >= 0 && taken < most; i--) {
      const createdAtMs = list.times[i] as number;
      if (createdAtMs < oldestMs) break;
      const post = list.posts[i] as StoredPost;
      if (request.excludedPostIds.has(post.postId)) continue;
      if (scanned++ === IN_NETWORK_LIMITS.scanned) break;
      if (!eligible(store, post, request)) continue;
      posts.push(post);
      times.push(createdAtMs);
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
function newest(
  posts: readonly StoredPost[],
  times: readonly number[],
  limit: number,
): StoredPost[] {
  const n = posts.length;
  if (n === 0) return [];
  // Sorting numbers natively is several times as fast as comparing posts: age and place share one exact integer.
  let latestMs = 0;
  for (let i = 0; i < n; i++) latestMs = Math.max(latestMs, times[i] as number);
  const keys = new Float64Array(n);
  for (let i = 0; i < n; i++) keys[i] = (latestMs - (times[i] as number)) * n + i;
  keys.sort();
  const sorted: StoredPost[] = [];
  let tied = 0;
  let tiedMs = Number.NaN;
  for (let i = 0; i < n; i++) {
    const place = (keys[i] as number) % n;
    const createdAtMs = times[place] as number;
    if (createdAtMs !== tiedMs) {
      orderTies(sorted, tied);
      if (sorted.length >= limit) return sorted.slice(0, limit);
      tied = sorted.length;
      tiedMs = createdAtMs;
    }
    sorted.push(posts[place] as StoredPost);
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
