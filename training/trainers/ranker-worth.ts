import { WORLD_WEIGHTS } from "../../datasets/world/world-weights.ts";
import type { TrainingRows } from "../../features/rows.ts";
import { bundlePredictions, type PredictingBundle } from "../registry/bundle-predictions.ts";
import type { TowerLog } from "../tower-log.ts";
import { EMPTY_PLACE, type TowerLists } from "./tower-lists.ts";

/** Places that are scored at once: features of rankers are wide. */
const CHUNK = 32_768;
/** Worth is at least this share of its positive part: negative feedback is predicted poorly, and shares must be above 0. */
const FLOOR = 0.3;
const SMALLEST = 1e-6;

/**
 * What a ranker says that each place of the lists is worth: Σ weight · prediction over heads with the weights that come
 * with Roost, at least .3 of its positive part [users, places]; 0 at empty places.
 * @throws BAD_DATASET naming features that the bundle reads and rows or log lack
 */
export async function rankerWorth(
  bundle: PredictingBundle,
  rows: TrainingRows,
  log: TowerLog,
  { posts }: Pick<TowerLists, "posts">,
  threads: number,
): Promise<Float32Array> {
  const worth = new Float32Array(posts.length);
  const used: number[] = [];
  for (let at = 0; at < posts.length; at++) if (posts[at] !== EMPTY_PLACE) used.push(at);
  const weights = rows.headNames.map((head) => WORLD_WEIGHTS[head] ?? 0);
  const heads = weights.length;
  for (let start = 0; start < used.length; start += CHUNK) {
    const chunk = used.slice(start, start + CHUNK);
    const predicted = await bundlePredictions(bundle, gathered(rows, log, chunk, posts), threads);
    chunk.forEach((at, i) => {
      let positive = 0;
      let all = 0;
      for (let h = 0; h < heads; h++) {
        const p = predicted[i * heads + h] as number;
        if (Number.isNaN(p)) continue;
        const part = (weights[h] as number) * p;
        all += part;
        if (part > 0) positive += part;
      }
      worth[at] = Math.max(all, FLOOR * positive, SMALLEST);
    });
  }
  return worth;
}

/** The features of places, wherever they were noted, as rows that a bundle can predict. */
function gathered(
  rows: TrainingRows,
  log: TowerLog,
  places: readonly number[],
  posts: Int32Array,
): TrainingRows {
  const n = places.length;
  const [d, k] = [rows.featureNames.length, rows.idNames.length];
  const features = new Float32Array(n * d);
  const ids = new Uint32Array(n * k);
  places.forEach((at, i) => {
    const post = posts[at] as number;
    const from = post >= 0 ? rows : { features: log.lotFeatures, ids: log.lotIds };
    const row = post >= 0 ? post : -1 - post;
    features.set(from.features.subarray(row * d, (row + 1) * d), i * d);
    ids.set(from.ids.subarray(row * k, (row + 1) * k), i * k);
  });
  return { ...rows, n, features, ids };
}
