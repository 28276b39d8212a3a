import type { HomeQuery } from "../pipeline/home-query.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";
import type { PostVectors } from "../state/post-vectors.ts";

/** The viewer's vector takes a fraction of a millisecond; one that takes this long waits for a core. */
const TIMEOUT_MS = 50;

/** What the user tower makes of the viewer now: the query of the `two_tower` source. */
export function viewerVector(vectors: PostVectors): QueryHydrator<HomeQuery> {
  return {
    name: "viewer_vector",
    timeoutMs: TIMEOUT_MS,
    onFailure: "open",
    enabled: (query) => vectors.ready && query.candidateIds === undefined,
    hydrate: async ({ viewerId, nowMs }) => ({
      viewerVector: await vectors.viewer(viewerId, nowMs),
    }),
  };
}
