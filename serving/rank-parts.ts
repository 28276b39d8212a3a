import type { PostStore } from "../candidates/post-store.ts";
import type { SocialGraph } from "../candidates/social-graph.ts";
import type { ViewerHistory } from "../candidates/viewer-history.ts";
import type { Event } from "../datasets/events.ts";
import type { LoadedExperiments } from "../experiments/assignment/config.ts";
import type { StickyStore } from "../experiments/assignment/sticky-store.ts";
import type { AfterAnswers } from "./after-answers.ts";
import type { RankRequest } from "./http/schemas.ts";
import type { ServerClock } from "./http/services.ts";
import type { KeptRanking } from "./kept-ranking.ts";
import type { Pager } from "./paging/pager.ts";
import type { HomeQuery } from "./pipeline/home-query.ts";
import type { Failure } from "./pipeline/record.ts";
import type { Pipeline } from "./pipeline/stages.ts";
import type { EffectiveWeights, Weights } from "./weights/weights.ts";

/** What ranking works with: made once, when the server opens. */
export interface RankParts {
  readonly pipelines: Readonly<Record<RankRequest["product"], Pipeline<HomeQuery>>>;
  readonly posts: PostStore;
  readonly graph: SocialGraph;
  readonly history: ViewerHistory;
  readonly clock: ServerClock;
  readonly pager: Pager<KeptRanking>;
  readonly sticky: StickyStore;
  /** The versions and models in force; read once a request, so that a reload concerns later ones only. */
  readonly weights: () => Weights;
  readonly experiments: () => LoadedExperiments;
  /** The models in place, held until released. */
  readonly lease: () => { readonly models: HomeQuery["models"]; release(): void };
  readonly logPosition: () => number;
  readonly write: (events: readonly Event[]) => Promise<unknown>;
  /** Keeps effective weights before anything names their checksum, so that it resolves for ever. */
  readonly keepWeights: (weights: EffectiveWeights) => Promise<void>;
  readonly defaultDeadlineMs: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly after: AfterAnswers;
  /** Told of every failure that a page was answered in spite of. */
  readonly onDegraded: (failure: Failure) => void;
}
