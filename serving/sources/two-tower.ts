import type { PostStore, StoredPost } from "../../candidates/post-store.ts";
import { RoostError } from "../../errors.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Source } from "../pipeline/stages.ts";
import type { PostVectors } from "../state/post-vectors.ts";

/** A search takes 1–3 ms in its worker; one that takes this long waits for a core. */
const TIMEOUT_MS = 100;
/** Asked for over what is wanted: posts by followed authors, and what the viewer saw, are taken out behind the index. */
const OVER_FETCH = 1.6;

/** Strangers' posts nearest to the viewer's vector, of all languages and ages within the window. */
export function twoTower(vectors: PostVectors, posts: PostStore): Source<HomeQuery> {
  return {
    name: "two_tower",
    timeoutMs: TIMEOUT_MS,
    onFailure: "open",
    enabled: (query) =>
      vectors.enabled && query.candidateIds === undefined && paramsOf(query).two_tower_limit > 0,
    fetch: async (query) => {
      const { two_tower_limit: limit, max_age_hours } = paramsOf(query);
      if (query.viewerVector === undefined)
        throw new RoostError("NOT_READY", "there is no vector of this viewer yet");
      const found = await vectors.search(query.viewerVector, Math.ceil(OVER_FETCH * limit));
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
