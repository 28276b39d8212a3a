import { IN_NETWORK_LIMITS, inNetworkPosts } from "../../candidates/in-network.ts";
import type { StoredPost } from "../../candidates/post-store.ts";
import { followingPosts } from "../../candidates/timelines/timeline-reader.ts";
import { NOW_MS, type Space } from "./growth-space.ts";

export const PAGE = 50;

/** Prepares a reader's call, which is timed. */
export type Read = (readerId: string) => () => unknown;

/** Every so many of the posts found were seen by the reader. */
const SEEN_EVERY = 10;

/** The newest posts by whom the reader follows which they have not seen, and their authors, as the pipeline's source gives them. */
export function inNetwork({ posts, graph, readers }: Space): Read {
  const find = (viewerId: string, excludedPostIds: ReadonlySet<string>) =>
    inNetworkPosts(posts, {
      viewerId,
      followedIds: graph.following(viewerId),
      excludedPostIds,
      nowMs: NOW_MS,
      maxAgeHours: 48,
      limit: IN_NETWORK_LIMITS.results,
    });
  const seen = new Map<string, ReadonlySet<string>>();
  for (const readerId of readers) {
    const ids = find(readerId, new Set()).filter((_, i) => i % SEEN_EVERY === 0);
    // Strings of their own, as those of impressions are.
    seen.set(readerId, new Set(ids.map(({ postId }) => String(Number(postId)))));
  }
  return (readerId) => {
    const excluded = seen.get(readerId) as ReadonlySet<string>;
    return () => {
      const postIds: string[] = [];
      const authorIds: string[] = [];
      for (const post of find(readerId, excluded)) {
        postIds.push(post.postId);
        authorIds.push(post.authorId);
      }
      return { postIds, authorIds };
    };
  };
}

/** A page of the following timeline from the posts in memory. */
export const page =
  ({ posts, graph }: Space): Read =>
  (readerId) =>
  () =>
    followingPosts(readerId, { limit: PAGE, nowMs: NOW_MS }, { posts, graph });

/**
 * The least that finding them takes in maps and objects: every followed author looked up in a map, and one field read of each
 * of their posts, of objects with nothing else in them. What this grows by is the machine's: maps and objects that no longer
 * fit into the processor's caches.
 */
export function mapFloor({ posts, graph }: Space): Read {
  let sequence = 0;
  const byAuthor = grouped(posts.values(), () => {
    sequence = (sequence + 1) % 1_000;
    return { sequence };
  });
  return (readerId) => () => {
    let sum = 0;
    for (const authorId of graph.following(readerId))
      for (const post of byAuthor.get(authorId) ?? []) sum += post.sequence;
    return sum;
  };
}

/** The same with the posts themselves and their ids, which whoever is not to be shown a post twice has to look at. */
export function postsFloor({ posts, graph }: Space): Read {
  const byAuthor = grouped(posts.values(), (post) => post);
  return (readerId) => () => {
    let sum = 0;
    for (const authorId of graph.following(readerId))
      for (const post of byAuthor.get(authorId) ?? []) sum += post.postId.length;
    return sum;
  };
}

/** What is made of each post, by author. */
function grouped<T>(
  posts: Iterable<StoredPost>,
  make: (post: StoredPost) => T,
): ReadonlyMap<string, readonly T[]> {
  const byAuthor = new Map<string, T[]>();
  for (const post of posts) {
    const list = byAuthor.get(post.authorId);
    if (list === undefined) byAuthor.set(post.authorId, [make(post)]);
    else list.push(make(post));
  }
  return byAuthor;
}
