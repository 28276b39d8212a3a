import { age } from "../filters/age.ts";
import { authorRelations } from "../filters/author-relations.ts";
import { conversationDedup } from "../filters/conversation-dedup.ts";
import { missingCore } from "../filters/missing-core.ts";
import { mutedKeyword } from "../filters/muted-keyword.ts";
import { outOfNetworkReplies } from "../filters/out-of-network-replies.ts";
import { previouslySeen } from "../filters/previously-seen.ts";
import { previouslyServed } from "../filters/previously-served.ts";
import { repostDedup } from "../filters/repost-dedup.ts";
import { self } from "../filters/self.ts";
import { visibility } from "../filters/visibility.ts";
import { deletions } from "../hydrators/deletions.ts";
import { type FeatureSource, stageFeatures } from "../hydrators/features.ts";
import { postCore } from "../hydrators/post-core.ts";
import { viewerGraph } from "../hydrators/viewer-graph.ts";
import { viewerHistory } from "../hydrators/viewer-history.ts";
import { definePipeline } from "../pipeline/define-pipeline.ts";
import { type HomeQuery, homeSizes } from "../pipeline/home-query.ts";
import type { Pipeline, SideEffect } from "../pipeline/stages.ts";
import { authorDiversity } from "../scorers/author-diversity.ts";
import { modelScorer } from "../scorers/model-scorer.ts";
import { newestFirst } from "../scorers/newest-first.ts";
import { outOfNetworkFactor } from "../scorers/out-of-network-factor.ts";
import { replyFactor } from "../scorers/reply-factor.ts";
import { weightedSum } from "../scorers/weighted-sum.ts";
import { byScore } from "../selectors/by-score.ts";
import { given } from "../sources/given.ts";
import { inNetwork } from "../sources/in-network.ts";
import { popular } from "../sources/popular.ts";
import { type Retrieval, twoTower } from "../sources/two-tower.ts";
import type { BroadcastState } from "../state/live-state.ts";

/** A model that takes this long is broken: 500 rows of half a million parameters take 10 ms. */
const MODEL_TIMEOUT_MS = 1_000;

/**
 * The ranked home timeline. The order of this literal is the order of execution.
 * @param retrieval what the two-tower source searches, and how long it may take; without it there is none
 */
export function forYou(
  { graph, history, posts, popular: popularPosts }: BroadcastState,
  features: FeatureSource,
  sideEffects: readonly SideEffect<HomeQuery>[],
  retrieval?: Retrieval,
): Pipeline<HomeQuery> {
  return definePipeline({
    name: "for_you",
    sizes: homeSizes,
    queryHydrators: [viewerGraph(graph), viewerHistory(history)],
    sources: [
      given(posts),
      // Before the others: its workers are at it while those read maps on this thread.
      ...(retrieval ? [twoTower(retrieval, posts)] : []),
      inNetwork(posts),
      popular(popularPosts),
    ],
    mergeFilters: [previouslySeen({ name: "seen_id" }), previouslyServed({ name: "served_id" })],
    hydrators: [postCore(posts, graph)],
    filters: [
      missingCore(),
      age(),
      self(),
      outOfNetworkReplies(),
      repostDedup(),
      previouslySeen(),
      previouslyServed(),
      authorRelations(),
      mutedKeyword(),
    ],
    lightHydrators: [stageFeatures("light", features)],
    lightScorers: [
      newestFirst(),
      modelScorer("light", { timeoutMs: MODEL_TIMEOUT_MS, weightedHeadsOnly: true }),
      weightedSum("light"),
    ],
    heavyHydrators: [stageFeatures("heavy", features)],
    heavyScorers: [modelScorer("heavy", { timeoutMs: MODEL_TIMEOUT_MS }), weightedSum("heavy")],
    adjustingScorers: [authorDiversity(), outOfNetworkFactor(), replyFactor()],
    selector: byScore(),
    selectedHydrators: [deletions(posts)],
    selectedFilters: [conversationDedup(), visibility()],
    sideEffects,
  });
}
