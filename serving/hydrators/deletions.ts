import type { PostStore } from "../../candidates/post-store.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { Hydrator } from "../pipeline/stages.ts";

/** Marks selected posts that were deleted while the request was ranked. */
export function deletions(posts: PostStore): Hydrator<HomeQuery> {
  return {
    name: "deletions",
    timeoutMs: 0,
    onFailure: "closed",
    hydrate: (_query, table) => {
      const deleted = new Float32Array(table.n);
      for (let row = 0; row < table.n; row++)
        deleted[row] = posts.get(table.postIds[row] as string) === undefined ? 1 : 0;
      return { columns: { deleted } };
    },
  };
}
