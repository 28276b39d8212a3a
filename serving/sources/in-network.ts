import { inNetworkPosts } from "../../candidates/in-network.ts";
import type { PostStore } from "../../candidates/post-store.ts";
import { type HomeQuery, paramsOf } from "../pipeline/home-query.ts";
import type { Source } from "../pipeline/stages.ts";

/** The newest posts by followed accounts. */
export function inNetwork(posts: PostStore): Source<HomeQuery> {
  return {
    name: "in_network",
    timeoutMs: 0,
    onFailure: "open",
    enabled: (query) => query.candidateIds === undefined,
    fetch: (query) => {
      const params = paramsOf(query);
      const found = inNetworkPosts(posts, {
        viewerId: query.viewerId,
        followedIds: query.followedIds,
        excludedPostIds: query.seenIds,
        nowMs: query.nowMs,
        maxAgeHours: params.max_age_hours,
        limit: params.in_network_limit,
      });
      const postIds: string[] = [];
      const authorIds: string[] = [];
      for (const post of found) {
        postIds.push(post.postId);
        authorIds.push(post.authorId);
      }
      return { postIds, authorIds, inHand: found };
    },
  };
}
