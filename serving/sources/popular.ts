import type { PopularPosts } from "../../candidates/popular-posts.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Source } from "../pipeline/stages.ts";

/** What strangers to the viewer post and others like, in the viewer's languages: out-of-network candidates and backfill. */
export function popular(posts: PopularPosts): Source<HomeQuery> {
  return {
    name: "popular",
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => query.candidateIds === undefined,
    fetch: (query) => {
      const params = paramsOf(query);
      const oldestMs = query.nowMs - params.max_age_hours * 3_600_000;
      return posts.top(
        query.nowMs,
        params.popular_limit,
        query.languages,
        (postId, authorId, createdAtMs) =>
          createdAtMs >= oldestMs &&
          authorId !== query.viewerId &&
          !query.followedIds.has(authorId) &&
          !query.seenIds.has(postId),
      );
    },
  };
}
