import { age } from "../filters/age.ts";
import { authorRelations } from "../filters/author-relations.ts";
import { missingCore } from "../filters/missing-core.ts";
import { mutedKeyword } from "../filters/muted-keyword.ts";
import { previouslySeen } from "../filters/previously-seen.ts";
import { repostDedup } from "../filters/repost-dedup.ts";
import { self } from "../filters/self.ts";
import { visibility } from "../filters/visibility.ts";
import { deletions } from "../hydrators/deletions.ts";
import { postCore } from "../hydrators/post-core.ts";
import { viewerGraph } from "../hydrators/viewer-graph.ts";
import { definePipeline } from "../pipeline/define-pipeline.ts";
import { type HomeQuery, homeSizes } from "../pipeline/home-query.ts";
import type { Pipeline, SideEffect } from "../pipeline/stages.ts";
import { newestFirst } from "../scorers/newest-first.ts";
import { byScore } from "../selectors/by-score.ts";
import { given } from "../sources/given.ts";
import { inNetwork } from "../sources/in-network.ts";
import type { BroadcastState } from "../state/live-state.ts";

/**
 * Posts of followed accounts, newest first, without a model. What was served comes again: a reverse-chronological
 * timeline is a place, not a stream; only what the caller says was seen is left out.
 */
export function following(
  { graph, posts }: BroadcastState,
  sideEffects: readonly SideEffect<HomeQuery>[],
): Pipeline<HomeQuery> {
  return definePipeline({
    name: "following",
    sizes: homeSizes,
    queryHydrators: [viewerGraph(graph)],
    sources: [given(posts), inNetwork(posts)],
    mergeFilters: [previouslySeen({ name: "seen_id" })],
    hydrators: [postCore(posts, graph)],
    filters: [
      missingCore(),
      age(),
      self(),
      repostDedup(),
      previouslySeen(),
      authorRelations(),
      mutedKeyword(),
    ],
    lightHydrators: [],
    lightScorers: [newestFirst()],
    heavyHydrators: [],
    heavyScorers: [],
    adjustingScorers: [],
    selector: byScore(),
    selectedHydrators: [deletions(posts)],
    selectedFilters: [visibility()],
    sideEffects,
  });
}
