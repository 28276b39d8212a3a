import { HEAD_BY_NAME } from "../../datasets/heads.ts";
import { compareIds } from "../../datasets/ids.ts";
import type { World } from "../../datasets/world/world.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import { RoostError } from "../../errors.ts";
import type { Bundle } from "../../features/bundle.ts";
import { InferencePool } from "../inference/inference-pool.ts";
import { type HomeQuery, homeQuery } from "../pipeline/home-query.ts";
import type { RequestRecord } from "../pipeline/record.ts";
import { LIGHT_CUT, runPipeline } from "../pipeline/run-pipeline.ts";
import { BELOW_PAGE } from "../pipeline/run-selection.ts";
import { forYou } from "../pipelines/for-you.ts";
import { effectiveWeights, type Weights } from "../weights/weights.ts";
import { everywhere } from "./everywhere.ts";
import { type RequestValues, SLATE_POSITIONS, slateValue } from "./gain-share.ts";
import type { Moment } from "./held-out.ts";
import { keptOfBest } from "./light-recall.ts";
import type { MomentRetrieval } from "./moment-retrieval.ts";
import { createPredictor, type Predictor } from "./predictor.ts";
import { type RequestNdcg, slateNdcg } from "./slate-ndcg.ts";
import { visibleValues } from "./visible-value.ts";

/** Judges rankers over the merged candidates of simulated requests, through the real pipeline. */
export interface RankArms {
  /**
   * Ranks what `userId` would be shown at `timeMs` by every arm. Undefined when there are too few candidates.
   * @param whole also against all eligible posts and with as many candidates as the funnel takes: much more work
   */
  judge(
    userId: string,
    timeMs: number,
    moment: Moment,
    whole?: boolean,
  ): Promise<JudgedRequest | undefined>;
  close(): Promise<void>;
}

export interface JudgedRequest {
  readonly candidates: number;
  readonly inNetwork: number;
  /** Brought by retrieval, whoever else brought them too. */
  readonly retrieved: number;
  /** Share of the heavy ranker's best that the light one keeps of many candidates; see `keptOfBest`. */
  readonly kept: number | undefined;
  /** Values when every eligible post could be shown; only where asked for. */
  readonly everywhere: RequestValues["values"] | undefined;
  readonly values: RequestValues["values"];
  readonly ndcg: RequestNdcg["ndcg"];
}

/** Parameters that leave the plain value: the multipliers trade value for variety and are judged apart. */
const PLAIN = { diversity_floor: 1, out_of_network_factor: 1, in_network_reply_repost_factor: 1 };
/** Candidates as many as the funnel is made for, beside those of retrieval: the light ranker then cuts some 3,000. */
const WIDE = { ...PLAIN, in_network_limit: 1200, popular_limit: 3000 };
/** Components that drop for rank, not by rule: what they drop was a candidate all the same. */
const RANKED_OUT = new Set([LIGHT_CUT, BELOW_PAGE, "conversation_dedup"]);
/** Nobody waits for an answer here, and all posts may have to be embedded first. */
const RETRIEVAL_TIMEOUT_MS = 600_000;
/** Below this there is nothing to rank. */
const LEAST_CANDIDATES = 20;

/**
 * The arms: `chronological` (newest first), `popularity` (decayed counts), `click_only` (the heavy model's click head),
 * `light` (weighted sum of the light model), `full` (the pipeline's page without diversity and out-of-network factors),
 * `as_served` (with them), `visible` (the oracle without what is hidden of posts), `oracle`.
 * @param retrieval what the two-tower source searches; without it there is none
 */
export async function rankArms(
  world: World,
  bundles: { light: Bundle; heavy: Bundle },
  weights: Weights,
  retrieval?: MomentRetrieval,
): Promise<RankArms> {
  const options = { workers: 1 };
  const pools = {
    light: await InferencePool.start(bundles.light, options),
    heavy: await InferencePool.start(bundles.heavy, options),
  };
  const predictors = {
    light: await createPredictor(bundles.light, 2),
    heavy: await createPredictor(bundles.heavy, 2),
  };
  const plain = effectiveWeights(weights, { params: PLAIN });
  const wide = effectiveWeights(weights, { params: WIDE });
  const served = effectiveWeights(weights);
  const models: HomeQuery["models"] = {
    light: { manifest: bundles.light.manifest, inference: pools.light },
    heavy: { manifest: bundles.heavy.manifest, inference: pools.heavy },
  };

  const kept = async (
    { replay, broadcast }: Moment,
    userId: string,
    timeMs: number,
    merged: Pick<ReturnType<typeof mergedOf>, "postIds" | "authorIds">,
  ): Promise<number | undefined> => {
    const gates = gatesOf(broadcast, userId, merged.postIds, merged.authorIds);
    const sums = async (predictor: Predictor): Promise<Float64Array> => {
      const p = await predictMoment(predictor, replay.state, { userId, timeMs, ...merged });
      return weightedSums(p, predictor.heads, gates);
    };
    return keptOfBest(await sums(predictors.heavy), await sums(predictors.light), merged.postIds);
  };

  return {
    judge: async (userId, timeMs, moment, whole = false) => {
      const { replay, broadcast, viewers } = moment;
      const pipeline = forYou(
        broadcast,
        replay.state,
        [],
        retrieval && { vectors: retrieval.at(moment), timeoutMs: RETRIEVAL_TIMEOUT_MS },
      );
      const run = async (of: typeof plain) => {
        const ranked = await runPipeline(
          pipeline,
          homeQuery({
            requestId: `${userId}@${timeMs}`,
            viewerId: userId,
            nowMs: timeMs,
            limit: SLATE_POSITIONS,
            weights: of,
            models,
          }),
          { signal: new AbortController().signal, now: () => performance.now() },
        );
        // A server degrades; a figure must not.
        const [failure] = ranked.record.failures;
        if (failure !== undefined)
          throw new RoostError(
            "COMPONENT_FAILED",
            `${failure.component}, in an evaluation: ${failure.detail}`,
            failure.error,
          );
        return ranked;
      };
      const full = await run(plain);
      const { postIds, authorIds, retrieved } = mergedOf(full);
      const n = postIds.length;
      if (n < LEAST_CANDIDATES) return undefined;
      const rowOf = new Map(postIds.map((id, row) => [id, row]));
      const page = (answer: typeof full): number[] =>
        Array.from(answer.page, (row) => rowOf.get(answer.table.postIds[row] as string) as number);

      const context = viewers.context(userId, timeMs);
      const trueValues = world.trueValues(userId, postIds, WORLD_WEIGHTS, context);
      const createdAt = postIds.map((id) => broadcast.posts.get(id)?.createdAtMs ?? 0);
      const gates = gatesOf(broadcast, userId, postIds, authorIds);
      const features = { userId, timeMs, postIds, authorIds };
      const heavy = await predictMoment(predictors.heavy, replay.state, features);
      const light = await predictMoment(predictors.light, replay.state, features);
      const click = predictors.heavy.heads.indexOf("click");
      const descending = (scores: ArrayLike<number>): Int32Array =>
        Int32Array.from(postIds.keys()).sort(
          (a, b) =>
            (scores[b] as number) - (scores[a] as number) ||
            compareIds(postIds[a] as string, postIds[b] as string),
        );
      const visible = visibleValues(world, userId, postIds, context);
      const clicks = postIds.map(
        (_, i) => heavy[i * predictors.heavy.heads.length + click] as number,
      );
      const orders = new Map<string, ArrayLike<number>>([
        ["chronological", descending(createdAt)],
        ["popularity", descending(broadcast.popular.counts(postIds, timeMs))],
        ["click_only", descending(clicks)],
        ["light", descending(weightedSums(light, predictors.light.heads, gates))],
        ["full", page(full)],
        ["as_served", page(await run(served))],
        ["visible", descending(visible)],
        ["oracle", descending(trueValues)],
      ]);
      return {
        candidates: n,
        inNetwork: gates.inNetwork.filter(Boolean).length,
        retrieved,
        kept: whole ? await kept(moment, userId, timeMs, mergedOf(await run(wide))) : undefined,
        everywhere: whole
          ? everywhere(world, moment, userId, timeMs, postIds, page(full), trueValues)
          : undefined,
        values: new Map(Array.from(orders, ([arm, order]) => [arm, slateValue(trueValues, order)])),
        ndcg: new Map(Array.from(orders, ([arm, order]) => [arm, slateNdcg(trueValues, order)])),
      };
    },
    close: async () => {
      for (const stage of ["light", "heavy"] as const) {
        await pools[stage].close();
        await predictors[stage].close();
      }
    },
  };
}

/** The candidates that no rule drops. */
function mergedOf({ record }: { readonly record: RequestRecord }): {
  postIds: string[];
  authorIds: string[];
  retrieved: number;
} {
  const { candidates, components } = record;
  const rows = Array.from(candidates.droppedBy.keys()).filter((i) => {
    const by = candidates.droppedBy[i] as number;
    return by < 0 || RANKED_OUT.has(components[by]?.name ?? "");
  });
  return {
    postIds: rows.map((i) => candidates.postIds[i] as string),
    authorIds: rows.map((i) => candidates.authorIds[i] as string),
    retrieved: rows.filter(
      (i) => candidates.sourceNames[candidates.source[i] as number] === "two_tower",
    ).length,
  };
}

function gatesOf(
  { posts, graph }: Moment["broadcast"],
  userId: string,
  postIds: readonly string[],
  authorIds: readonly string[],
): Gates {
  const followed = graph.following(userId);
  return {
    media: postIds.map((id) => posts.get(id)?.media ?? "none"),
    inNetwork: authorIds.map((id) => followed.has(id)),
  };
}

interface Gates {
  readonly media: readonly ("none" | "photo" | "video")[];
  readonly inNetwork: readonly boolean[];
}

async function predictMoment(
  predictor: Predictor,
  state: Moment["replay"]["state"],
  asked: {
    userId: string;
    timeMs: number;
    postIds: readonly string[];
    authorIds: readonly string[];
  },
): Promise<Float64Array> {
  const reader = predictor.reader();
  const n = asked.postIds.length;
  const features = new Float32Array(n * reader.features.length);
  const ids = new Uint32Array(n * reader.ids.length);
  reader.begin(state, { userId: asked.userId, nowMs: asked.timeMs });
  for (let row = 0; row < n; row++)
    reader.row(asked.postIds[row] as string, asked.authorIds[row] as string, features, ids, row);
  return predictor.predict(features, ids, n);
}

/** Σ w·p a row, heads behind closed gates left out. */
function weightedSums(p: Float64Array, heads: readonly string[], gates: Gates): Float64Array {
  const n = gates.media.length;
  const sums = new Float64Array(n);
  heads.forEach((head, h) => {
    const weight = WORLD_WEIGHTS[head] ?? 0;
    const gate = HEAD_BY_NAME.get(head)?.gate;
    for (let row = 0; row < n; row++) {
      if (gate === "has_photo" && gates.media[row] !== "photo") continue;
      if (gate === "has_video" && gates.media[row] !== "video") continue;
      if (gate === "out_of_network" && gates.inNetwork[row]) continue;
      sums[row] = (sums[row] as number) + weight * (p[row * heads.length + h] as number);
    }
  });
  return sums;
}
