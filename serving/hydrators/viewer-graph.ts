import type { SocialGraph } from "../../candidates/social-graph.ts";
import type { HomeQuery } from "../pipeline/home-query.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";

/** Follows, blocks, mutes and languages of the viewer. Closed: without them nothing may be shown. */
export function viewerGraph(graph: SocialGraph): QueryHydrator<HomeQuery> {
  return {
    name: "viewer_graph",
    timeoutMs: 0,
    onFailure: "closed",
    hydrate: ({ viewerId }) => ({
      followedIds: graph.following(viewerId),
      blockedIds: graph.blocked(viewerId),
      blockedByIds: graph.blockedBy(viewerId),
      mutedIds: graph.muted(viewerId),
      mutedKeywords: graph.mutedKeywords(viewerId),
      languages: new Set(graph.languages(viewerId)),
      viewerFollowerCount: graph.followerCount(viewerId),
    }),
  };
}
