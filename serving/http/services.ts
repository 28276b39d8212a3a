import type { Event } from "../../datasets/events.ts";
import type { RankRecord } from "../metrics/rank-record.ts";
import type { NewPosts } from "../state/new-posts.ts";
import type { PostCounts } from "../state/post-counts.ts";
import type { VersionStore } from "../versions/version-store.ts";
import type { RankRequest, RankResponse, WeightsResponse } from "./schemas.ts";
import type { Timelines } from "./timeline-route.ts";

/** What the API needs of the rest of the process. Every argument has passed its schema. */
export interface Services {
  readonly rank: RankService;
  readonly events: EventSink;
  readonly weights: WeightsView;
  readonly health: Health;
  readonly clock: ServerClock;
  /** Serves the version routes when given. */
  readonly versions?: VersionStore;
  /** Serves `GET /v1/counts` when given. */
  readonly counts?: Pick<PostCounts, "of">;
  /** Serves `GET /v1/timelines/following/{user_id}` when given. */
  readonly timelines?: Timelines;
  /** Serves the streams of new posts when given. */
  readonly newPosts?: NewPosts;
}

export interface RankCall {
  /** Unique; names the ranking in the answer, the log line and the `served` record. */
  readonly requestId: string;
  /**
   * Aborts with a reason when the caller has gone, the deadline has passed or the server is stopping.
   * A ranking that can still answer with a page should; one that cannot rejects with `signal.reason`.
   */
  readonly signal: AbortSignal;
  /**
   * Told once the pipeline starts, with the record that it fills as it goes: what a ranking that fails, or is given up,
   * can still log. Not called for a later page, which runs no pipeline.
   */
  readonly begun?: (record: RankRecord) => void;
}

export interface RankAnswer {
  readonly response: RankResponse;
  readonly record: RankRecord;
}

export interface RankService {
  /** @throws RoostError for what the caller did (4xx, InvalidRequest names fields) or a required part did (5xx) */
  rank(request: RankRequest, call: RankCall): Promise<RankAnswer>;
}

export type AppendResult =
  | { readonly status: "accepted" | "duplicate" }
  | { readonly status: "refused"; readonly detail: string };

export interface EventSink {
  /** Resolves when all accepted events are durable. One result per event, in order. */
  append(events: readonly Event[]): Promise<{ readonly results: readonly AppendResult[] }>;
}

export interface WeightsView {
  /** The weights that a request beginning now is ranked with. */
  current(): WeightsResponse;
}

export interface Health {
  /** false: the process cannot recover and should be replaced. */
  live(): boolean;
  /** Whether requests can be answered; the reasons say what is missing. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
}

export interface ServerClock {
  /** `world`: the simulated network's time; incoming events take it whatever they say. */
  readonly kind: "wall" | "world";
  nowMs(): number;
}
