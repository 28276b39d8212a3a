import { assign, stickyKeys } from "../experiments/assignment/assign.ts";
import type { RankRequest } from "./http/schemas.ts";
import { type HomeQuery, homeQuery } from "./pipeline/home-query.ts";
import type { RankParts } from "./rank-parts.ts";
import { effectiveWeights } from "./weights/weights.ts";

/** The query of a request: its experiments assigned, its weights in effect and kept. */
export async function buildQuery(
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
