import { RoostError } from "../errors.ts";
import { buildQuery } from "./build-query.ts";
import type { RankRequest, RankResponse } from "./http/schemas.ts";
import type { RankAnswer, RankCall, RankService } from "./http/services.ts";
import { keptItems, keptRanking, wireItem } from "./kept-ranking.ts";
import type { RankRecord } from "./metrics/rank-record.ts";
import { mayShow } from "./paging/may-show.ts";
import type { HomeQuery, IdSet } from "./pipeline/home-query.ts";
import { RequestRecord } from "./pipeline/record.ts";
import { type Answer, runPipeline } from "./pipeline/run-pipeline.ts";
import type { Pipeline } from "./pipeline/stages.ts";
import type { RankParts } from "./rank-parts.ts";
import { experimentsOf, modelVersions, servedRecord } from "./served-record.ts";

/** Time kept back from the caller's deadline for building and sending the answer. */
const ANSWER_MS = 5;
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
  const explain = request.explain ?? false;
  const items = keptItems(answer, answer.page, explain);
  const ranking = keptRanking(parts, answer, items, explain);
  const owner = { userId: request.user_id, product: request.product };
  const cursor =
    ranking === undefined
      ? null
      : parts.pager.begin(call.requestId, ranking, items.length, owner, query.nowMs);
  for (const failure of answer.record.failures) parts.onDegraded(failure);
  parts.after.begin(() => finish(answer).finally(release));
  // Made now at the latest, so that the request's candidates are let go.
  if (ranking !== undefined) parts.after.begin(async () => ranking.items);
  const response: RankResponse = {
    request_id: call.requestId,
    items: items.map((item, i) => wireItem(item, i + 1)),
    cursor,
    model_versions: modelVersions(query),
    weights_checksum: query.weights.checksum,
    experiments: experimentsOf(query),
    degraded: record.degraded(),
    ...(request.explain && {
      dropped: record.dropped(),
    }),
  };
  return { response, record: rankRecord(answer, items.length) };
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
