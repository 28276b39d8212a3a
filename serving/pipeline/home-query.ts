import type { Assignment } from "../../experiments/assignment/assign.ts";
import type { ServedModel } from "../inference/inference.ts";
import type { Params } from "../params.ts";
import type { EffectiveWeights } from "../weights/weights.ts";
import { RequestMemo } from "./request-memo.ts";
import type { PageSizes } from "./stages.ts";

/** The two models of a home timeline: one for all candidates, one for the best of them. */
export type ModelStage = "light" | "heavy";

/** Membership of ids: a Set, or something that answers like one. */
export interface IdSet {
  has(id: string): boolean;
}

export const NO_IDS: IdSet = new Set<string>();

/** Who asks for a home timeline, when, and what is known about them: everything that its components may read. */
export interface HomeQuery {
  readonly requestId: string;
  readonly viewerId: string;
  /** The server's clock at the request, epoch milliseconds. */
  readonly nowMs: number;
  /** Posts on the page. */
  readonly limit: number;
  readonly weights: EffectiveWeights;
  /** The models of this request; a stage without one is skipped. */
  readonly models: { readonly [Stage in ModelStage]?: ServedModel };

  /** Authors whom the viewer follows. */
  readonly followedIds: ReadonlySet<string>;
  readonly blockedIds: IdSet;
  readonly mutedIds: IdSet;
  /** Authors who block the viewer. */
  readonly blockedByIds: IdSet;
  /** Phrases as the viewer wrote them. */
  readonly mutedKeywords: readonly string[];
  /** Posts that the viewer has been shown. */
  readonly seenIds: IdSet;
  /** Posts that were sent to the viewer within the served window, shown or not. */
  readonly servedIds: IdSet;
  /** NaN = unknown. */
  readonly viewerFollowerCount: number;
  /** Languages of the viewer's profile; empty = unknown. */
  readonly languages: ReadonlySet<string>;
  /** The screen that shows the page. */
  readonly surface?: string;
  /** Posts named by the caller: ranked instead of what the sources would bring. */
  readonly candidateIds?: readonly string[];
  /** What the ranking's record and log say about it. */
  readonly product: string;
  readonly assignments: readonly Assignment[];
  /** The last log record that the state reflected when the request came. */
  readonly logPosition: number;
  /** Lookups that its components share. */
  readonly memo: RequestMemo;
}

/** A query of a viewer about whom nothing is known yet; query hydrators fill in the rest. */
export function homeQuery(
  asked: Pick<HomeQuery, "requestId" | "viewerId" | "nowMs" | "limit" | "weights"> &
    Partial<HomeQuery>,
): HomeQuery {
  return {
    models: {},
    followedIds: new Set(),
    blockedIds: NO_IDS,
    mutedIds: NO_IDS,
    blockedByIds: NO_IDS,
    mutedKeywords: [],
    seenIds: NO_IDS,
    servedIds: NO_IDS,
    viewerFollowerCount: Number.NaN,
    languages: new Set(),
    product: "for_you",
    assignments: [],
    logPosition: 0,
    memo: new RequestMemo(),
    ...asked,
  };
}

/** The ranking parameters of a request. */
export const paramsOf = (query: Pick<HomeQuery, "weights">): Params => query.weights.params;

/** How many rows the stages of a home timeline take. */
export function homeSizes(query: HomeQuery): PageSizes {
  const params = paramsOf(query);
  return { heavyLimit: params.heavy_limit, limit: query.limit, reserve: params.reserve };
}

/**
 * The columns of a home timeline's candidates: filters and scorers read them under these names, hydrators write them.
 * Numbers: NaN = unknown, flags are 0 or 1. Texts: `""` = none or unknown.
 */
export const COLUMNS = {
  created_at_ms:
    "number: when the post was made, epoch milliseconds; unknown = its core data is missing",
  in_network: "flag: the viewer follows the author or is the author",
  mutual_follow: "flag: the viewer and the author follow each other",
  text: "text of the post; only where the viewer has muted keywords",
  has_photo: "flag",
  has_video: "flag",
  has_quote: "flag: quotes another post",
  video_ms: "number: length of the video",
  in_reply_to_post_id: "text: the post that it replies to",
  conversation_id: "text: root of its conversation, its own id when it began one",
  repost_of_post_id: "text: the post that it reposts unchanged",
  repost_of_author_id: "text",
  quote_of_author_id: "text",
  deleted: "flag: the post was deleted since it became a candidate",
  safety_labels: "text: its labels, one a line",
} as const;
export type ColumnName = keyof typeof COLUMNS;

/** The matrices that a stage's model reads: float32 features and int32 id buckets, in its bundle's order. */
export const featureMatrix = (stage: ModelStage): string => `${stage}_features`;
export const idMatrix = (stage: ModelStage): string => `${stage}_ids`;

/** The column with a head's calibrated probability (or amount) as a stage's model predicts it. */
export const headColumn = (stage: ModelStage, head: string): string => `${stage}_p_${head}`;
/** The column with what a head adds to the value of a post, written by the heavy stage's weighted sum. */
export const contributionColumn = (head: string): string => `contribution_${head}`;
/** The column with the score that multipliers began from. */
export const BASE_SCORE = "base_score";
/** Column: the last log record that a row's heavy features reflect, the same in every row. */
export const LOG_POSITION = "log_position";
