import type { PostStore } from "../candidates/post-store.ts";
import type { SocialGraph } from "../candidates/social-graph.ts";
import type { ViewerHistory } from "../candidates/viewer-history.ts";
import type { Event } from "../datasets/events.ts";
import { RoostError } from "../errors.ts";
import { assign, stickyKeys } from "../experiments/assignment/assign.ts";
import type { LoadedExperiments } from "../experiments/assignment/config.ts";
import type { StickyStore } from "../experiments/assignment/sticky-store.ts";
import type { AfterAnswers } from "./after-answers.ts";
import type { RankRequest, RankResponse } from "./http/schemas.ts";
import type { RankAnswer, RankCall, RankService, ServerClock } from "./http/services.ts";
import { postInHand } from "./hydrators/post-core.ts";
import type { RankRecord } from "./metrics/rank-record.ts";
import { mayShow } from "./paging/may-show.ts";
import type { Pager } from "./paging/pager.ts";
import { MAX_STORED_ITEMS, type StoredRanking } from "./paging/ranking-store.ts";
import { textAt, textColumn } from "./pipeline/candidate-table.ts";
import { type HomeQuery, homeQuery, type IdSet } from "./pipeline/home-query.ts";
import { type Failure, RequestRecord } from "./pipeline/record.ts";
import { RequestMemo } from "./pipeline/request-memo.ts";
import { type Answer, runPipeline } from "./pipeline/run-pipeline.ts";
import { BELOW_PAGE } from "./pipeline/run-selection.ts";
import type { Pipeline } from "./pipeline/stages.ts";
import { explainRow } from "./scorers/explain-row.ts";
import {
  asServed,
  experimentsOf,
  modelVersions,
  type ServedItem,
  servedItems,
  servedRecord,
} from "./served-record.ts";
import { type EffectiveWeights, effectiveWeights, type Weights } from "./weights/weights.ts";

type Explanation = NonNullable<RankResponse["items"][number]["explain"]>;

/** An item as it is kept for later pages. */
interface KeptItem extends ServedItem {
  readonly explain?: Explanation;
}

/** A ranking that is paged through, with what its later pages answer and log. */
export interface KeptRanking extends StoredRanking<KeptItem> {
  readonly query: HomeQuery;
}

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

/** Time kept back from the caller's deadline for building and sending the answer. */
const ANSWER_MS = 5;
/** Kept explanations of 18 heads take 27 times the memory of the plain items: 1.2 MB a ranking against 45 kB. */
const EXPLAINED_COST = 28;
/** An expired cursor must not bring back what its ranking served: look as far back as the history goes. */
const EXPIRED_LOOK_BACK_MS = 86_400_000;

/** `POST /v1/rank`: assigns experiments, runs the product's pipeline or turns a page, stores the ranking, answers, logs. */
export function createRankService(parts: RankParts): RankService {
  return {
    rank: async (request, call) => {
      if (request.cursor === undefined) return rankAnew(parts, request, call, undefined);
      return nextPage(parts, request, request.cursor, call);
    },
  };
}

/**
 * Ranks without any trace: nothing is stored for paging, logged as served or counted as exposure.
 * For the command line.
 * @param nowMs the moment to rank at
 */
export async function previewRanking(
  parts: RankParts,
  request: RankRequest,
  nowMs = parts.clock.nowMs(),
): Promise<Answer<HomeQuery>> {
  const lease = parts.lease();
  try {
    const query = await buildQuery(parts, request, "preview", lease.models, nowMs);
    return await runPipeline({ ...parts.pipelines[request.product], sideEffects: [] }, query, {
      signal: new AbortController().signal,
      now: parts.now,
    });
  } finally {
    lease.release();
  }
}

async function rankAnew(
  parts: RankParts,
  request: RankRequest,
  call: RankCall,
  servedIds: IdSet | undefined,
): Promise<RankAnswer> {
  const lease = parts.lease();
  try {
    return await rankWith(parts, request, call, servedIds, lease);
  } catch (error) {
    lease.release();
    throw error;
  }
}

async function rankWith(
  parts: RankParts,
  request: RankRequest,
  call: RankCall,
  servedIds: IdSet | undefined,
  { models, release }: ReturnType<RankParts["lease"]>,
): Promise<RankAnswer> {
  const query = await buildQuery(parts, request, call.requestId, models, parts.clock.nowMs());
  const pipeline = withServed(parts.pipelines[request.product], servedIds);
  const deadlineAt = parts.now() + (request.deadline_ms ?? parts.defaultDeadlineMs) - ANSWER_MS;
  const gone = unlessDeadline(call.signal);
  const record = new RequestRecord();
  call.begun?.(rankRecord({ query, record }, 0));
  let answer: Answer<HomeQuery>;
  try {
    answer = await runPipeline(pipeline, query, {
      signal: gone.signal,
      now: parts.now,
      deadlineAt,
      record,
    });
  } finally {
    gone.release();
  }
  const { ranking, page } = keep(parts, answer, request.explain ?? false);
  const owner = { userId: request.user_id, product: request.product };
  const cursor = parts.pager.begin(call.requestId, ranking, page, owner, query.nowMs);
  for (const failure of answer.record.failures) parts.onDegraded(failure);
  parts.after.begin(() => finish(answer).finally(release));
  const response: RankResponse = {
    request_id: call.requestId,
    items: ranking.items.slice(0, page).map((item, i) => wireItem(item, i + 1)),
    cursor,
    model_versions: modelVersions(query),
    weights_checksum: query.weights.checksum,
    experiments: experimentsOf(query),
    degraded: record.degraded(),
    ...(request.explain && {
      dropped: record.dropped(),
    }),
  };
  return { response, record: rankRecord(answer, page) };
}

/**
 * The work after the answer.
 * @throws COMPONENT_FAILED naming what of it failed, such as the log of what was served
 */
async function finish({ afterAnswer, record }: Answer<HomeQuery>): Promise<void> {
  await afterAnswer();
  const failed = record.failures.filter(({ stage }) => stage === "side_effects");
  if (failed.length === 0) return;
  const names = failed.map(({ component, kind }) => `${component} ${kind}`).join(", ");
  throw new RoostError("COMPONENT_FAILED", names, failed[0]?.error);
}

/** Turns a page: what may not be shown (any more) is passed over; an expired ranking is made anew without what it served. */
async function nextPage(
  parts: RankParts,
  request: RankRequest,
  cursor: string,
  call: RankCall,
): Promise<RankAnswer> {
  const startedAt = parts.now();
  const nowMs = parts.clock.nowMs();
  const viewer = request.user_id;
  const shown = mayShow(parts, viewer);
  const answer = parts.pager.next({
    cursor,
    limit: request.limit,
    userId: viewer,
    product: request.product,
    nowMs,
    keep: (item) => shown(item),
  });
  if (answer.expired)
    return rankAnew(
      parts,
      request,
      call,
      parts.history.served(viewer, nowMs - EXPIRED_LOOK_BACK_MS),
    );
  const { query } = answer.ranking;
  const items = answer.page.items;
  const record = servedRecord(
    query,
    call.requestId,
    nowMs,
    items.map(({ item }) => item),
  );
  parts.after.begin(() => parts.write([record]));
  return {
    response: {
      request_id: call.requestId,
      items: items.map(({ item, rank }) => wireItem(item, rank)),
      cursor: answer.cursor,
      model_versions: modelVersions(query),
      weights_checksum: query.weights.checksum,
      experiments: experimentsOf(query),
      degraded: [],
      ...(request.explain && {
        dropped: answer.page.dropped.map(({ item }) => ({
          post_id: item.postId,
          source: item.source,
          component: "page_check",
          rule: "blocked, muted, deleted, or its labels forbid it",
        })),
      }),
    },
    record: {
      product: query.product,
      pipeline: {
        components: [],
        stageMs: {},
        failures: [],
        totalMs: parts.now() - startedAt,
      },
      items: items.length,
      weightsChecksum: query.weights.checksum,
      experiments: experimentsOf(query),
      modelVersions: modelVersions(query),
    },
  };
}

async function buildQuery(
  parts: RankParts,
  request: RankRequest,
  requestId: string,
  models: HomeQuery["models"],
  nowMs: number,
): Promise<HomeQuery> {
  const { user_id, context = {} } = request;
  const { forced_variations: forced, ...visible } = context;
  const experiments = parts.experiments();
  const attributes = { user_id, id: user_id, product: request.product, ...visible };
  const keys = stickyKeys(experiments, attributes);
  const assigned = assign(experiments, attributes, {
    ...(keys.length > 0 && { sticky: await parts.sticky.read(keys) }),
    ...(forced !== undefined && { forced }),
  });
  for (const document of assigned.stickyChanges) await parts.sticky.merge(document);
  const weights = effectiveWeights(
    parts.weights(),
    { weights: assigned.weights, params: assigned.parameters as Record<string, number> },
    request.weights === undefined ? {} : { weights: defined(request.weights) },
  );
  await parts.keepWeights(weights);
  return homeQuery({
    requestId,
    viewerId: user_id,
    nowMs,
    limit: request.limit,
    weights,
    models,
    product: request.product,
    assignments: assigned.assignments,
    logPosition: parts.logPosition(),
    seenIds: new Set(request.seen_post_ids),
    ...(context.surface === undefined ? {} : { surface: context.surface }),
    ...(request.candidate_post_ids === undefined
      ? {}
      : { candidateIds: request.candidate_post_ids }),
  });
}

function defined<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, v]) => v !== undefined)) as never;
}

/** A pipeline that also keeps back what an expired ranking served, however long ago. */
function withServed(
  pipeline: Pipeline<HomeQuery>,
  servedIds: IdSet | undefined,
): Pipeline<HomeQuery> {
  if (servedIds === undefined) return pipeline;
  return {
    ...pipeline,
    mergeFilters: [
      ...pipeline.mergeFilters,
      {
        name: "served_by_expired_ranking",
        timeoutMs: 0,
        onFailure: "open",
        keep: (_query, table) => (row) => !servedIds.has(table.postIds[row] as string),
      },
    ],
  };
}

/** The deadline degrades a ranking by the runner's own clock; only a caller that has gone, or a stop, ends it. */
function unlessDeadline(signal: AbortSignal): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onAbort = (): void => {
    const { reason } = signal;
    if (reason instanceof RoostError && reason.code === "DEADLINE_EXCEEDED") return;
    controller.abort(reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return {
    signal: controller.signal,
    release: () => signal.removeEventListener("abort", onAbort),
  };
}

/** The page, and behind it what ranked below and may be shown, one post a conversation: what later pages are made of. */
function keep(
  parts: RankParts,
  { table, order, page, record, query }: Answer<HomeQuery>,
  explain: boolean,
): { ranking: KeptRanking; page: number } {
  const below = record.components.findIndex(({ name }) => name === BELOW_PAGE);
  const conversations = textColumn(table, "conversation_id");
  const used = new Set(Array.from(page, (row) => conversationOf(row)));
  const rows = [...page];
  let shown: ReturnType<typeof mayShow> | undefined;
  for (const row of order) {
    if (rows.length >= MAX_STORED_ITEMS) break;
    if (record.candidates.droppedBy[table.origin[row] as number] !== below) continue;
    // The stages after selection looked at the page only.
    const post = { postId: table.postIds[row] as string, authorId: table.authorIds[row] as string };
    shown ??= mayShow(parts, query.viewerId);
    if (!shown(post, postInHand(table, row))) continue;
    const conversation = conversationOf(row);
    if (query.product === "for_you" && used.has(conversation)) continue;
    used.add(conversation);
    rows.push(row);
  }
  const items: KeptItem[] = servedItems(table, rows);
  return {
    page: page.length,
    ranking: {
      query: {
        ...asServed(query, table),
        seenIds: new Set(),
        servedIds: new Set(),
        memo: new RequestMemo(),
      },
      cost: explain ? EXPLAINED_COST : 1,
      items: explain
        ? items.map((item, i) => ({
            ...item,
            explain: wireExplanation(table, rows[i] as number, query.weights),
          }))
        : items,
    },
  };

  function conversationOf(row: number): string {
    return textAt(conversations, row) || (table.postIds[row] as string);
  }
}

function wireExplanation(
  table: Answer<HomeQuery>["table"],
  row: number,
  weights: EffectiveWeights,
): Explanation {
  const { heads, base, multipliers } = explainRow(table, row, weights);
  return { heads: [...heads], base, multipliers: [...multipliers] };
}

function wireItem(item: KeptItem, rank: number): RankResponse["items"][number] {
  return {
    post_id: item.postId,
    author_id: item.authorId,
    rank,
    score: item.score,
    source: item.source,
    in_network: item.inNetwork,
    ...(item.explain === undefined ? {} : { explain: item.explain }),
  };
}

function rankRecord(
  { query, record }: Pick<Answer<HomeQuery>, "query" | "record">,
  items: number,
): RankRecord {
  return {
    product: query.product,
    pipeline: record,
    items,
    weightsChecksum: query.weights.checksum,
    experiments: experimentsOf(query),
    modelVersions: modelVersions(query),
  };
}
