import { HEAD_BY_NAME, WORLD_HEADS } from "../../datasets/heads.ts";
import { compareIds } from "../../datasets/ids.ts";
import type { World } from "../../datasets/world/world.ts";
import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import type { Bundle } from "../../features/bundle.ts";
import { InferencePool } from "../inference/inference-pool.ts";
import { type HomeQuery, homeQuery } from "../pipeline/home-query.ts";
import { LIGHT_CUT, runPipeline } from "../pipeline/run-pipeline.ts";
import { BELOW_PAGE } from "../pipeline/run-selection.ts";
import { forYou } from "../pipelines/for-you.ts";
import { effectiveWeights, type Weights } from "../weights/weights.ts";
import { type RequestValues, SLATE_POSITIONS, slateValue } from "./gain-share.ts";
import type { Moment } from "./held-out.ts";
import { createPredictor, type Predictor } from "./predictor.ts";
import { type RequestNdcg, slateNdcg } from "./slate-ndcg.ts";

/** Judges rankers over the merged candidates of simulated requests, through the real pipeline. */
export interface RankArms {
  /** Ranks what `userId` would be shown at `timeMs` by every arm. Undefined when there are too few candidates. */
  judge(userId: string, timeMs: number, moment: Moment): Promise<JudgedRequest | undefined>;
  close(): Promise<void>;
}

export interface JudgedRequest {
  readonly candidates: number;
  readonly inNetwork: number;
  readonly values: RequestValues["values"];
  readonly ndcg: RequestNdcg["ndcg"];
}

/** Parameters that leave the plain value: the multipliers trade value for variety and are judged apart. */
const PLAIN = { diversity_floor: 1, out_of_network_factor: 1, in_network_reply_repost_factor: 1 };
/** Components that drop for rank, not by rule: what they drop was a candidate all the same. */
const RANKED_OUT = new Set([LIGHT_CUT, BELOW_PAGE, "conversation_dedup"]);
/** Below this there is nothing to rank. */
const LEAST_CANDIDATES = 20;

/**
 * The arms: `chronological` (newest first), `popularity` (decayed counts), `click_only` (the heavy model's click head),
 * `light` (weighted sum of the light model), `full` (the pipeline's page without diversity and out-of-network factors),
 * `as_served` (with them), `visible` (the oracle without what is hidden of posts), `oracle`.
 */
export async function rankArms(
  world: World,
  bundles: { light: Bundle; heavy: Bundle },
  weights: Weights,
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
  const served = effectiveWeights(weights);
  const models: HomeQuery["models"] = {
    light: { manifest: bundles.light.manifest, inference: pools.light },
    heavy: { manifest: bundles.heavy.manifest, inference: pools.heavy },
  };

  return {
    judge: async (userId, timeMs, { replay, broadcast, viewers }) => {
      const pipeline = forYou(broadcast, replay.state, []);
      const run = (of: typeof plain) =>
        runPipeline(
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
      const full = await run(plain);
      const { candidates, components } = full.record;
      const merged = Array.from(candidates.droppedBy, (by, i) => ({ by, i })).filter(
        ({ by }) => by < 0 || RANKED_OUT.has(components[by]?.name ?? ""),
      );
      const postIds = merged.map(({ i }) => candidates.postIds[i] as string);
      const authorIds = merged.map(({ i }) => candidates.authorIds[i] as string);
      const n = postIds.length;
      if (n < LEAST_CANDIDATES) return undefined;
      const rowOf = new Map(postIds.map((id, row) => [id, row]));
      const page = (answer: typeof full): number[] =>
        Array.from(answer.page, (row) => rowOf.get(answer.table.postIds[row] as string) as number);

      const context = viewers.context(userId, timeMs);
      const trueValues = world.trueValues(userId, postIds, WORLD_WEIGHTS, context);
      const createdAt = postIds.map((id) => broadcast.posts.get(id)?.createdAtMs ?? 0);
      const followed = broadcast.graph.following(userId);
      const gates: Gates = {
        media: postIds.map((id) => broadcast.posts.get(id)?.media ?? "none"),
        inNetwork: authorIds.map((id) => followed.has(id)),
      };
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
      const visible = weightedVisible(world, userId, postIds, context);
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

/** What the oracle would think of each post if its hidden parts were as expected. */
function weightedVisible(
  world: World,
  userId: string,
  postIds: readonly string[],
  context: Parameters<World["visibleProbabilities"]>[2],
): Float64Array {
  const p = world.visibleProbabilities(userId, postIds, context);
  const width = p.length / postIds.length;
  const weights = WORLD_HEADS.map((head) => WORLD_WEIGHTS[head] ?? 0);
  return Float64Array.from(postIds, (_, i) =>
    weights.reduce((sum, weight, h) => sum + weight * (p[i * width + h] as number), 0),
  );
}
