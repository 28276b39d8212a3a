import type { PostStore, StoredPost } from "../../candidates/post-store.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Source } from "../pipeline/stages.ts";
import type { PostVectors } from "../state/post-vectors.ts";

/**
 * Vector and search take 2–4 ms in their workers, beside the other sources. What takes ten times as long waits for a core,
 * and the page should not wait with it.
 */
export const RETRIEVAL_TIMEOUT_MS = 40;
/** Asked for over what is wanted: posts by followed authors, and what the viewer saw, are taken out behind the index. */
const OVER_FETCH = 1.6;

export interface Retrieval {
  readonly vectors: Pick<PostVectors, "enabled" | "nearest">;
  readonly timeoutMs: number;
}

/** Strangers' posts nearest to the viewer's vector, of all languages and ages within the window. */
export function twoTower({ vectors, timeoutMs }: Retrieval, posts: PostStore): Source<HomeQuery> {
  return {
    name: "two_tower",
    timeoutMs,
    onFailure: "open",
    enabled: (query) =>
      vectors.enabled && query.candidateIds === undefined && paramsOf(query).two_tower_limit > 0,
    fetch: async (query, signal) => {
      const { two_tower_limit: limit, max_age_hours } = paramsOf(query);
      const wanted = Math.ceil(OVER_FETCH * limit);
      const found = await vectors.nearest(query.viewerId, query.nowMs, wanted, signal);
      const oldestMs = query.nowMs - max_age_hours * 3_600_000;
      const postIds: string[] = [];
      const authorIds: string[] = [];
      const inHand: StoredPost[] = [];
      for (const id of found.ids) {
        if (postIds.length >= limit) break;
        const post = posts.get(id);
        if (post === undefined || post.createdAtMs < oldestMs || post.createdAtMs > query.nowMs)
          continue;
        const { authorId } = post;
        if (authorId === query.viewerId || query.followedIds.has(authorId)) continue;
        if (query.seenIds.has(id)) continue;
        postIds.push(id);
        authorIds.push(authorId);
        inHand.push(post);
      }
      return { postIds, authorIds, inHand };
    },
  };
}
