import type { ViewerHistory } from "../../candidates/viewer-history.ts";
import { type HomeQuery, type IdSet, paramsOf } from "../pipeline/home-query.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";

/** What the viewer has seen and was lately served, added to what the caller says was seen. */
export function viewerHistory(history: ViewerHistory): QueryHydrator<HomeQuery> {
  return {
    name: "viewer_history",
    timeoutMs: 0,
    onFailure: "open",
    hydrate: (query) => {
      const params = paramsOf(query);
      return {
        seenIds: either(query.seenIds, history.seen(query.viewerId)),
        servedIds: history.served(
          query.viewerId,
          query.nowMs - params.served_window_minutes * 60_000,
          params.served_window_posts,
        ),
      };
    },
  };
}

function either(first: IdSet, second: IdSet): IdSet {
  if (first instanceof Set && first.size === 0) return second;
  return { has: (id) => first.has(id) || second.has(id) };
}
