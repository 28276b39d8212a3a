import type { PostStore } from "../../candidates/post-store.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Source } from "../pipeline/stages.ts";

/** The candidates that the caller named; posts that are not known have no author and are dropped as missing their core. */
export function given(posts: PostStore): Source<HomeQuery> {
  return {
    name: "given",
    timeoutMs: 0,
    onFailure: "required",
    enabled: (query) => query.candidateIds !== undefined,
    fetch: (query) => {
      const postIds = query.candidateIds ?? [];
      return { postIds, authorIds: postIds.map((id) => posts.get(id)?.authorId ?? "") };
    },
  };
}
